"""Structured logs through the standard library: JSON for machines, aligned words for people."""

import logging
import re
import sys
from collections.abc import Iterable

import structlog
from flask import Flask, Response, g, has_request_context, request
from uuid_utils.compat import uuid7

from orderapp.redaction import Redactor

# A client's own id is kept when it is short and plain; anything else could forge log lines or fill the disk.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")

# Loggers that say at every task or start what our own lines say already, or (kombu, of the file broker) nothing of use;
# and OpenTelemetry's exporter, which announces each new try.
_NOISY = {
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.CRITICAL,
    "celery.beat": logging.WARNING,
    "kombu.connection": logging.ERROR,
    "flower.inspector": logging.ERROR,
    "opentelemetry.exporter": logging.ERROR,
}

# Loggers whose lines below this level hold receivers' URLs, whose path or query may be a secret: SQLAlchemy's rows at debug
# level, urllib3's requests and its warnings of malformed headers. Never written, whatever level somebody sets.
_INDISCREET = {"sqlalchemy.engine": logging.INFO, "urllib3": logging.ERROR}

# Loggers that their library has given a handler and a format of its own before our application is loaded.
_WITH_HANDLERS = ("gunicorn.error", "gunicorn.access")

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure(log_format: str, secrets: Iterable[str] = ()) -> None:
    """Send every logger of the process to standard error, in one format and without these secrets."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        logging.captureWarnings(capture=True)  # else they are lines of plain text between the objects
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain: its own traceback prints local variables, secrets among them, and takes a second of a task's ten.
        plain = structlog.dev.plain_traceback
        last.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    redact = Redactor(secrets)
    last.append(lambda _logger, _method, line: redact(str(line)))
    handler = logging.StreamHandler()
    handler.addFilter(_is_discreet)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name, level in _NOISY.items():
        logging.getLogger(name).setLevel(level)
    for name in _WITH_HANDLERS:
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True


def _is_discreet(record: logging.LogRecord) -> bool:
    return all(record.levelno >= level or not record.name.startswith(name) for name, level in _INDISCREET.items())


def init_app(app: Flask) -> None:
    """Give every request an id, in its log lines and in its answer."""
    app.before_request(_bind_request_id)
    app.after_request(_send_request_id)
    app.teardown_request(_unbind_request_id)


def current_request_id() -> str:
    """Return the id of the request being answered, or of the one whose message a task works on; empty where there is none."""
    if has_request_context():
        return str(g.get("request_id", ""))
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def request_id_from(header: object) -> dict[str, str]:
    """Return what to bind for a message that brings this request id; nothing, unless it is one that we could have sent."""
    return {"request_id": header} if isinstance(header, str) and _PLAIN_ID.match(header) else {}


def _bind_request_id() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _PLAIN_ID.match(given) else str(uuid7())
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _send_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = current_request_id()
    return response


def _unbind_request_id(_error: BaseException | None) -> None:
    """Let the thread forget the id: what it does next is no part of this request."""
    structlog.contextvars.unbind_contextvars("request_id")
