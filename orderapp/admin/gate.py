"""The gate before every page of the panel: login, role, CSRF token; and the headers behind every answer.

It stands before the request reaches a view, for everything under /admin/ whoever registered it: a page that nobody gave
a right is closed, a form that nobody protected is refused.
"""

import secrets

from flask import Flask, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect

from orderapp.accounts.guard import visitor
from orderapp.admin import rights

PREFIX = "/admin/"

# Bytes of a nonce that nobody can guess within the one answer that it is for.
NONCE_BYTES = 16

# data: for the icons inside Bootstrap's style sheet. The forms' own addresses, no frames, nothing from outside.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_csrf = CSRFProtect()


def init_app(app: Flask) -> None:
    """Close everything under /admin/ but to those who may."""
    # A token lives as long as its session; the check is ours, for the panel only: the API has no cookies to steal.
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)
    _csrf.init_app(app)
    app.before_request(_check)
    app.after_request(_add_headers)


def nonce() -> str:
    """Return the one word that lets a script or style of this answer run."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(NONCE_BYTES)
    return str(g.nonce)


def is_local(target: str) -> bool:
    """Tell whether an address that came with a request is a page of the panel: nobody is sent elsewhere."""
    return target.startswith(PREFIX) and "\\" not in target and target.isascii() and target.isprintable()


def _check() -> ResponseReturnValue | None:
    if request.url_rule is None or not request.url_rule.rule.startswith(PREFIX):
        return None
    endpoint = request.endpoint or ""
    if rights.RIGHTS.get(endpoint) != rights.EVERYBODY:
        if visitor() is None:
            wanted = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("panel.login", next=wanted))
        if not rights.may(endpoint):
            abort(403, "Your role does not include this.")
    _csrf.protect()
    if not is_local(request.values.get("url") or PREFIX):
        abort(400, "The return address is not a page of the panel.")
    return None


def _add_headers(response: Response) -> Response:
    if request.path.startswith(PREFIX):
        response.headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=nonce()))  # a picture has its own
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        if not (request.endpoint or "").endswith(".static"):
            response.headers["Cache-Control"] = "no-store"  # after the logout, the Back button shows nothing
    return response
