"""Traces: one from a POST through outbox and broker to its worker and its webhooks. What everybody else calls.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set and the extra is installed (requirements-otel.txt); then nothing of OpenTelemetry
is imported, no request is looked at, and each call below is one comparison. What a span may hold is decided in
``orderapp/spans.py``, the only file that knows OpenTelemetry.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, Response, request

from orderapp import logs, telemetry

if TYPE_CHECKING:
    from orderapp.spans import Span, Spans

log = structlog.get_logger(__name__)

# The header of a message, and of a request, that names the span it comes from (W3C Trace Context).
HEADER = "traceparent"

# Asked every few seconds by machines, and no part of any order's way.
UNTRACED = {"monitoring"}

# Where a request keeps its span.
BLOCK = "orderapp.span"

_spans: "Spans | None" = None


def configure(endpoint: str | None) -> None:
    """Send traces to this collector from now on; to nobody without one."""
    global _spans  # noqa: PLW0603 - as for failpoints: the cheapest thing that can be looked at
    _spans = _spans_for(endpoint) if endpoint else None


def _spans_for(endpoint: str) -> "Spans | None":
    try:
        # Here, so that the service runs without the extra; and not at the first span, which would wait for the import.
        from orderapp.spans import Spans  # noqa: PLC0415
    except ImportError as error:
        log.warning("no traces: install requirements-otel.txt, or unset OTEL_EXPORTER_OTLP_ENDPOINT", missing=error.name)
        return None
    return Spans(endpoint)


def are_made() -> bool:
    """Tell whether traces are on."""
    return _spans is not None


def init_app(app: Flask) -> None:
    """Begin a span with each request. To be called early: what is called first begins first and ends last."""
    if _spans is not None:
        app.before_request(_begin_request)
        app.after_request(_describe_request)
        app.teardown_request(_end_request)


def _begin_request() -> None:
    rule = request.url_rule
    if rule is None or request.blueprint in UNTRACED:  # what strangers look for is nobody's way either
        return
    # By rule and method alone: paths, queries and addresses are about people, and a trace leaves the house.
    route = telemetry.plain(rule.rule)
    about = {"http.request.method": request.method, "http.route": route}
    block = span(f"{request.method} {route}", "server", [request.headers.get(HEADER)], **about)
    block.__enter__()
    request.environ[BLOCK] = block


def _describe_request(response: Response) -> Response:
    if BLOCK in request.environ:
        about = {"http.response.status_code": response.status_code, "request_id": logs.current_request_id()}
        note("answered 5xx" if response.status_code >= 500 else None, **about)  # noqa: PLR2004 - HTTP's own border
    return response


def _end_request(_error: BaseException | None) -> None:
    if BLOCK in request.environ:
        request.environ.pop(BLOCK).__exit__(None, None, None)


def span(name: str, kind: str, causes: Iterable[object] = (), **about: Any) -> AbstractContextManager[None]:
    """Return a block whose time is a span: of the cause's trace, or of the current one when there is no cause.

    ``causes`` are values of ``traceparent`` as they came, ``kind`` is one of OpenTelemetry's in lower case. A block that
    raises is an error, of which the span tells the class alone.
    """
    return nullcontext() if _spans is None else _spans.current(name, kind, causes, about)


def open_span(name: str, kind: str, causes: Iterable[object], **about: Any) -> "Span | None":
    """Begin a span that is nobody's current one; the caller ends it. None when traces are off."""
    return None if _spans is None else _spans.open(name, kind, causes, about)


def end(span: "Span", fault: str | None) -> None:
    """End a span that ``open_span`` began, and say that it failed if there is a fault."""
    if _spans is not None:
        _spans.end(span, fault)


def note(fault: str | None, **about: Any) -> None:
    """Add to the current span what is known by now, and that it failed if there is a fault."""
    if _spans is not None:
        _spans.note(fault, about)


def headers(of: "Span | None" = None) -> dict[str, str]:
    """Return what a message must carry to go on with the trace of this span, or of the current one; else nothing."""
    return {} if _spans is None else _spans.headers(of)


def leave() -> None:
    """Belong to no trace from now on: what comes next has another cause."""
    if _spans is not None:
        _spans.leave()


def finish() -> None:
    """Send what this process still holds. Python does that at an orderly end, but not in Celery's children."""
    if _spans is not None:
        _spans.finish()
