"""One family of errors, and the only place that words them for HTTP (RFC 9457 problem details)."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NoReturn

import orjson
import structlog
from flask import Flask, Response, current_app, request
from flask_smorest import Api as SmorestApi
from sqlalchemy.exc import SQLAlchemyError
from webargs.core import missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    HTTPException,
    InternalServerError,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)

from orderapp import problems
from orderapp.database import is_outage
from orderapp.logs import current_request_id

log = structlog.get_logger(__name__)

# Seconds. A restart of PostgreSQL takes one to a few; a client that comes back sooner only queues.
RETRY_AFTER = 2


class OrderAppError(Exception):
    """Something a caller did that cannot be done; trying again unchanged does not help."""


class InvalidInputError(OrderAppError):
    """The request is well-formed but wrong; ``faults`` pairs a JSON pointer with what is wrong there."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{pointer or 'body'}: {detail}" for pointer, detail in faults))


class KeyReusedError(InvalidInputError):
    """An idempotency key came with another order than the one it was first sent with."""


class NotFoundError(OrderAppError):
    """There is no such thing, or it belongs to somebody else: the answer does not tell which."""


class ConflictError(OrderAppError):
    """The thing is in a state that does not allow this."""


class StillRunningError(ConflictError):
    """The same request is being served already; asking again soon shows what became of it."""


class NotIdentifiedError(OrderAppError):
    """No API key was sent, or one that does not count."""

    def __init__(self, detail: str, *, key_was_sent: bool = False) -> None:
        self.key_was_sent = key_was_sent
        super().__init__(detail)


class ForbiddenError(OrderAppError):
    """The client is known and may not do this; ``missing_scope`` is what would help."""

    def __init__(self, detail: str, *, missing_scope: str | None = None) -> None:
        self.missing_scope = missing_scope
        super().__init__(detail)


class TooManyRequestsError(OrderAppError):
    """The client asks too often; ``retry_after`` is in seconds."""

    def __init__(self, detail: str, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class PreconditionFailedError(OrderAppError):
    """The thing is no longer what the caller takes it for."""


class BadMessageError(OrderAppError):
    """A broker message that no retry can make right; it is dead-lettered."""


# Each kind's status; 400 for the rest of the family.
_STATUS = {
    InvalidInputError: 422,
    NotFoundError: 404,
    ConflictError: 409,
    NotIdentifiedError: 401,
    ForbiddenError: 403,
    PreconditionFailedError: 412,
    TooManyRequestsError: 429,
}

# Python names 422 by its old name before 3.13.
_TITLES = {status.value: status.phrase for status in HTTPStatus} | {422: "Unprocessable Content"}


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"The body is ambiguous: one object names {twice!r} twice.")


# orjson lets the last of two equal names win in silence, and two programs that disagree about that sell the wrong thing.
# Costs 2 us per order. Numbers stay text: converting a thousand digits is no part of this question.
_PAIRS = json.JSONDecoder(object_pairs_hook=_refuse_repeated_names, parse_int=str, parse_float=str)


class BodyParser(FlaskParser):
    """Reads JSON bodies strictly: another content type is 415, malformed or ambiguous JSON 400, a wrong value 422."""

    def parse(self, argmap: Any, req: Any = None, *, location: str | None = None, **options: Any) -> Any:
        """Return the arguments. Optional headers of which none was sent, as most often, need no schema to say so."""
        if location == "headers" and not any(field.data_key in request.headers for field in argmap.fields.values()):
            return {name: field.load_default for name, field in argmap.fields.items()}
        return super().parse(argmap, req, location=location, **options)

    def load_json(self, req: Any, _schema: Any) -> Any:
        """Return the parsed body."""
        if req.mimetype != "application/json":
            raise UnsupportedMediaType("Send the body as application/json.")
        body = _whole_body(req)
        try:
            parsed = orjson.loads(body)
            _PAIRS.decode(body.decode())
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"The body is not JSON: {error}") from error
        except RecursionError as error:
            raise BadRequest("The body is nested too deeply.") from error
        return parsed

    def handle_error(self, error: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Turn marshmallow's nested messages into pointers."""
        messages = error.messages.get("json", error.messages) if isinstance(error.messages, dict) else error.messages
        raise InvalidInputError(list(_flatten(messages)))


def _whole_body(req: Any) -> bytes:
    try:
        body: bytes = req.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # the client sees it, and the log; each server has errors of its own for a body broken off
        log.warning("body unreadable", fault=type(error).__name__)
        raise BadRequest("The body cannot be read to its end.") from error
    # gunicorn hands over what has come when a connection breaks; even when that can be read, the client did not say it all.
    if req.content_length and len(body) < req.content_length:
        raise ClientDisconnected("The body ended before its announced length.")
    # Werkzeug answers 413 to an announced length only: a body in chunks it cuts off at the limit, and the rest could be
    # anything. Whether there is a rest, only its source can tell.
    if not req.content_length and len(body) == req.max_content_length and req.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge
    return body


class Api(SmorestApi):  # type: ignore[misc]
    """flask-smorest with our errors: it would otherwise answer every HTTP error of the application, pages included."""

    def _register_error_handlers(self) -> None:
        """Leave errors to ``init_app`` of this module."""


def init_app(app: Flask) -> None:
    """Answer every error of the application."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OrderAppError, _own_error)
    app.register_error_handler(SQLAlchemyError, _database_error)


def show_pages(app: Flask, prefix: str, page: Callable[[int, str, str], Response]) -> None:
    """Answer errors below this path to people: ``page`` gets status, title and detail."""
    app.extensions["error_pages"] = (prefix, page)


def _flatten(messages: Any, pointer: str = "") -> Any:
    if isinstance(messages, dict):
        for key, value in messages.items():
            # marshmallow files faults of a whole object under _schema.
            yield from _flatten(value, pointer if key == "_schema" else f"{pointer}/{_escaped(key)}")
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield (pointer, str(message))


def _escaped(key: Any) -> str:
    """Return one reference token of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def problem(
    status: int, title: str, detail: str, faults: list[tuple[str, str]] | None = None, kind: str | None = None
) -> Response:
    """Return a problem document; ``faults`` become ``errors: [{pointer, detail}]``. Where people read, it is a page.

    ``kind`` is one of problems.py; without it, the usual one of the status.
    """
    page = _page_for_people()
    if page:
        return page(status, title, detail)
    body: dict[str, Any] = {
        "type": problems.address(status, kind),
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": current_request_id(),
    }
    if faults:
        body["errors"] = [{"pointer": pointer, "detail": text} for pointer, text in faults]
    return Response(orjson.dumps(body), status=status, mimetype="application/problem+json")


def _page_for_people() -> Callable[[int, str, str], Response] | None:
    prefix, page = current_app.extensions.get("error_pages", ("", None))
    return page if request.path.startswith(prefix) else None


def _is_ours() -> bool:
    return request.path.startswith(("/api", "/health")) or _page_for_people() is not None


def _http_error(error: HTTPException) -> Response | HTTPException:
    if not _is_ours() or error.code is None or error.code < BadRequest.code:
        return error  # other pages keep Werkzeug's own answer, redirects are no errors
    detail = error.description or ""
    if isinstance(error, InternalServerError):
        detail = "The fault is ours; it was logged under this request id."
    answer = problem(error.code, error.name, detail)
    for name, value in error.get_headers():  # Allow, Retry-After, WWW-Authenticate say what to do next
        if name.lower() not in {"content-type", "content-length"}:
            answer.headers[name] = value
    return answer


def _own_error(error: OrderAppError) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), BadRequest.code)
    title = _TITLES[status]
    if isinstance(error, InvalidInputError):
        kind = problems.KEY_REUSED if isinstance(error, KeyReusedError) else None
        return problem(status, title, "The request has faults; each is listed under errors.", error.faults, kind)
    answer = problem(status, title, str(error), kind=problems.STILL_RUNNING if isinstance(error, StillRunningError) else None)
    challenge = _challenge(error)
    if challenge:
        answer.headers["WWW-Authenticate"] = challenge
    if isinstance(error, (StillRunningError, TooManyRequestsError)):
        answer.headers["Retry-After"] = str(getattr(error, "retry_after", RETRY_AFTER))
    return answer


def _challenge(error: OrderAppError) -> str:
    """Return how RFC 6750 says what kind of key would help."""
    if isinstance(error, NotIdentifiedError):
        return 'Bearer realm="orderapp"' + (', error="invalid_token"' if error.key_was_sent else "")
    if isinstance(error, ForbiddenError) and error.missing_scope:
        return f'Bearer realm="orderapp", error="insufficient_scope", scope="{error.missing_scope}"'
    return ""


def _database_error(error: SQLAlchemyError) -> Response | HTTPException:
    if not is_outage(error):
        log.error("request failed", path=request.path, exc_info=error)
        return _http_error(InternalServerError())
    log.warning("database unreachable", path=request.path, fault=type(error).__name__)
    answer = problem(
        503, "Service Unavailable", "The database cannot be reached now. Whether anything was stored is not known; try again."
    )
    answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


__all__ = ["Api", "BadMessageError", "BodyParser", "ConflictError", "InvalidInputError", "NotFoundError", "missing", "problem"]
