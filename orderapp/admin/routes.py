"""Door: logging in and out of the panel."""

import structlog
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter import RateLimitExceeded

from orderapp.accounts import authenticating, guard, queries
from orderapp.admin.gate import is_local
from orderapp.database import reading

log = structlog.get_logger(__name__)

blueprint = Blueprint(
    "panel", __name__, url_prefix="/admin", template_folder="templates", static_folder="static", static_url_path="/panel"
)


@blueprint.get("/login/")
def login() -> ResponseReturnValue:
    """Show the login."""
    if guard.visitor():
        return redirect(_wanted())
    with reading() as session:
        nobody = not queries.anybody(session)
    return _page(nobody=nobody)


@blueprint.post("/login/")
@guard.limiter.limit(guard.PER_ADDRESS, key_func=guard.address_key)
@guard.limiter.limit(guard.PER_ACCOUNT, key_func=guard.account_key)
def log_in() -> ResponseReturnValue:
    """Begin a session."""
    name = request.form.get("name", "").strip()
    account = authenticating.log_in(name, request.form.get("password", ""))
    if account is None:
        log.warning("login refused", name=_known(name), address=request.remote_addr)
        return _page(fault="This name and password do not belong together, or the user is disabled."), 401
    guard.open_session(account)
    log.info("logged in", name=account.name, address=request.remote_addr)
    return redirect(_wanted())


@blueprint.post("/logout/")
def log_out() -> ResponseReturnValue:
    """End all sessions of this user."""
    who = guard.visitor()
    if who is not None:
        authenticating.log_out(who.account.id)
    guard.close_session()
    return redirect(url_for("panel.login"))


@blueprint.errorhandler(RateLimitExceeded)
def too_many(_error: RateLimitExceeded) -> ResponseReturnValue:
    """Say when the next attempt is heard."""
    current = guard.limiter.current_limit
    seconds = max(1, int(current.reset_at - guard.now())) if current else 1
    log.warning("login limited", name=_known(request.form.get("name", "").strip()), address=request.remote_addr)
    minutes = -(-seconds // 60)
    return _page(fault=f"Too many attempts. Try again in {minutes} min."), 429, {"Retry-After": str(seconds)}


def _known(name: str) -> str | None:
    """Return the name as our user has it, for the log; nobody's name may be a password typed into the wrong field."""
    with reading() as session:
        found = queries.credentials_of(session, name) if "\0" not in name else None
    return found.account.name if found else None


def _page(*, fault: str | None = None, nobody: bool = False) -> str:
    return render_template("panel/login.html", fault=fault, nobody=nobody, name=request.form.get("name", ""), next=_wanted())


def _wanted() -> str:
    """Return where the visitor wanted to go, if that is a page of the panel."""
    target = request.values.get("next", "")
    return target if is_local(target) else url_for("admin.index")
