"""Who may use the API: every route under /api declares the scope it needs; one check stands before all of them.

    @blueprint.get("/")
    @access.requires("orders:read")
    def show_all() -> ResponseReturnValue:
        ... access.current_client().id ...

A route that declares nothing is closed to everybody: forgotten is not open. How a key becomes a client, the roof says;
rooms need no more than this module. Whose an order is, the query decides: it takes the client's id.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from orderapp.errors import ForbiddenError, TooManyRequestsError

log = structlog.get_logger(__name__)

PREFIX = "/api"

ORDERS_READ = "orders:read"
ORDERS_WRITE = "orders:write"
PRODUCTS_WRITE = "products:write"
WEBHOOKS_WRITE = "webhooks:write"
REPORTS_READ = "reports:read"

# As the table api_keys has them.
SCOPES = (ORDERS_READ, ORDERS_WRITE, PRODUCTS_WRITE, WEBHOOKS_WRITE, REPORTS_READ)

# What a route for everybody declares.
NOBODY_IN_PARTICULAR = ""


@dataclass(frozen=True)
class Client:
    """Who sends this request. ``use_is_news``: the key's last use was noted a while ago, or never."""

    id: int
    name: str
    scopes: frozenset[str]
    key_id: int | None = None
    use_is_news: bool = False


@dataclass(frozen=True)
class Standing:
    """How a client stands against its rate limit; ``reset`` is in seconds from now."""

    limit: int
    remaining: int
    reset: int
    refused: bool


View = TypeVar("View", bound=Callable[..., Any])
Identify = Callable[[str], Client]
NoteUse = Callable[[int], None]
Count = Callable[[Client], Standing | None]


def requires(scope: str) -> Callable[[View], View]:
    """Declare that a view is for clients with this scope; it stands below the route."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope!r}; orderapp/access.py lists all: {', '.join(SCOPES)}")
    return partial(_declare, scope)


def public(view: View) -> View:
    """Declare that a view is for everybody, key or not."""
    return _declare(NOBODY_IN_PARTICULAR, view)


def declared_by(view: Any) -> str | None:
    """Return the scope that a view declares; None when it says nothing."""
    scope: str | None = getattr(view, "required_scope", None)
    return scope


def current_client() -> Client:
    """Return who sends the request that is being answered, on any route that requires a scope."""
    client: Client = g.api_client
    return client


def init_app(app: Flask, identify: Identify, count: Count, note_use: NoteUse) -> None:
    """Stand before every route under /api. ``identify`` takes the Authorization header, empty without one."""
    app.before_request(partial(_check, identify, count))
    app.after_request(_tell_standing)
    app.after_request(partial(_plan_note, app, note_use))


def _declare(scope: str, view: View) -> View:
    view.__dict__["required_scope"] = scope  # what wraps the view later copies it along
    return view


def _check(identify: Identify, count: Count) -> None:
    rule = request.url_rule
    if rule is None or not rule.rule.startswith(PREFIX):
        return
    if request.method == "OPTIONS" and rule.provide_automatic_options:  # type: ignore[attr-defined]
        return  # runs no view; a browser asks so, without any key, before it sends a request from another origin
    needed = declared_by(current_app.view_functions[rule.endpoint])
    if needed is None:
        raise ForbiddenError("Nobody has said yet who may use this.")
    if needed == NOBODY_IN_PARTICULAR:
        return
    client = identify(request.headers.get("Authorization", ""))
    g.api_standing = standing = count(client)
    if standing and standing.refused:
        raise TooManyRequestsError(f"At most {standing.limit} requests in a while; wait.", retry_after=standing.reset)
    if needed not in client.scopes:
        raise ForbiddenError(f"This key lacks the scope {needed}.", missing_scope=needed)
    g.api_client = client


def _tell_standing(response: Response) -> Response:
    standing: Standing | None = g.get("api_standing")
    if standing is not None:
        response.headers["RateLimit-Limit"] = str(standing.limit)
        response.headers["RateLimit-Remaining"] = str(standing.remaining)
        response.headers["RateLimit-Reset"] = str(standing.reset)
    return response


def _plan_note(app: Flask, note_use: NoteUse, response: Response) -> Response:
    client: Client | None = g.get("api_client")
    if client is not None and client.key_id is not None and client.use_is_news:
        # When the last byte is on its way: no request waits for this, and no transaction of one holds it.
        response.call_on_close(partial(_note, app, note_use, client.key_id))
    return response


def _note(app: Flask, note_use: NoteUse, key_id: int) -> None:
    with app.app_context():
        try:
            note_use(key_id)
        except SQLAlchemyError as error:  # the answer is sent; the next request notes its own use
            log.warning("last use of a key not noted", key_id=key_id, fault=type(error).__name__)
