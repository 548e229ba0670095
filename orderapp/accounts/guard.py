"""Who is at the panel: sessions by Flask-Login, and the limits of the login."""

import hashlib
import time
from datetime import timedelta
from ipaddress import IPv6Address, ip_address

from flask import Flask, Request, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_limiter import Limiter
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from orderapp.accounts import counters, queries, roles  # counters: Flask-Limiter finds its storage by the import
from orderapp.accounts.queries import Account
from orderapp.database import LAST_ID, db, reading

# Where sessions are, and logins to be limited; the API knows neither.
PANEL = "/admin"

# Idle time after which a session ends: an operator's lunch, not an operator's night.
IDLE = timedelta(hours=1)

# Seconds after which even a busy session ends: one working day.
LONGEST_SESSION = 12 * 3600

# Attempts on one account, right or wrong, from anywhere: ten guesses in a quarter of an hour find no password of twelve
# characters, and nobody mistypes more often.
PER_ACCOUNT = "10 per 15 minutes"

# Attempts from one address: an office behind one address logs in with it.
PER_ADDRESS = "40 per 15 minutes"


class Visitor(UserMixin):  # type: ignore[misc]
    """A user who is logged in."""

    def __init__(self, account: Account) -> None:
        """Take the account as it is now."""
        self.account = account

    def get_id(self) -> str:
        """Return what the session remembers: a version counted up since ends it."""
        return f"{self.account.id}:{self.account.session_version}"

    @property
    def actor(self) -> str:
        """Return how the audit log names this user."""
        return f"user:{self.account.name}"

    def may(self, needed: str) -> bool:
        """Tell whether the user's role includes this one."""
        return roles.reaches(self.account.role, needed)


class _Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies, for the panel alone: the API's requests would pay for a signer they never use."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session; none, which Flask makes one that cannot be written to, outside of the panel."""
        return super().open_session(app, request) if request.path.startswith(PANEL) else None

    def should_set_cookie(self, app: Flask, session: SessionMixin) -> bool:
        """Tell whether this answer prolongs the session."""
        return super().should_set_cookie(app, session) and not g.get("nobody_clicked", False)


class _Manager(LoginManager):  # type: ignore[misc]
    """Flask-Login without its "remember me": no cookie outlives the session, and the API's answers need no session."""

    def _load_user_from_remember_cookie(self, _cookie: str) -> None:
        return None

    def _update_remember_cookie(self, response: object) -> object:
        return response


def init_app(app: Flask, *, secure: bool) -> None:
    """Give the application its sessions; ``secure`` keeps their cookie off plain HTTP."""
    app.config.update(
        SESSION_COOKIE_NAME="orderapp_session",
        SESSION_COOKIE_PATH=PANEL,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        PERMANENT_SESSION_LIFETIME=IDLE,
        RATELIMIT_STORAGE_URI=f"{counters.PostgresCounters.STORAGE_SCHEME[0]}://",
    )
    app.session_interface = _Sessions()
    manager = _Manager()
    manager.session_protection = None  # it signs people out whose address changes; HttpOnly, Secure and idle time protect
    manager.user_loader(_load)
    manager.init_app(app)
    with app.app_context():
        app.config["RATELIMIT_STORAGE_OPTIONS"] = {"url": db.engine.url}
    # As if its hooks were there already. They look at every request, a twentieth of what a POST costs; only the login is
    # limited, and its decorators ask by themselves.
    app.extensions["limiter"] = {limiter}
    limiter.init_app(app)


def open_session(account: Account) -> None:
    """Begin a session; nothing of the one before it is kept."""
    session.clear()
    session.permanent = True
    session["since"] = int(now())
    login_user(Visitor(account))


def close_session() -> None:
    """Forget who is here."""
    logout_user()
    session.clear()


def nobody_clicked() -> None:
    """Let this request not count as a click: a page that asks by itself would keep its session open all day."""
    g.nobody_clicked = True


def visitor() -> Visitor | None:
    """Return who is logged in, if anybody."""
    return current_user if current_user.is_authenticated else None


def now() -> float:
    """Return the time by which sessions and limits are counted, in seconds since 1970."""
    return time.time()


def account_key() -> str:
    """Return the account that this attempt is about; hashed, for anybody may type anything."""
    name = request.form.get("name", "").strip().lower()
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def address_key() -> str:
    """Return the network that this attempt comes from; one IPv6 customer has a whole /64."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped.compressed if address.ipv4_mapped else address.exploded[:19]
    return address.compressed


def _load(session_id: str) -> Visitor | None:
    user_id, _, version = session_id.partition(":")
    if not user_id.isdecimal() or int(user_id) > LAST_ID:
        return None
    if now() - session.get("since", 0) > LONGEST_SESSION:
        return None
    with reading() as database_session:
        account = queries.active_account(database_session, int(user_id))
    return Visitor(account) if account and str(account.session_version) == version else None


limiter = Limiter(key_func=address_key, strategy="fixed-window")
