"""Act: a user logs in and out."""

from sqlalchemy import text

from orderapp.accounts import passwords, queries
from orderapp.accounts.queries import Account
from orderapp.database import reading, writing

# The version was read before the password was checked: a password set, or a user disabled, meanwhile must win.
_LOGGED_IN = text("""
UPDATE users SET last_login_at = clock_timestamp(), password_hash = coalesce(:new_hash, password_hash)
WHERE id = :user_id AND session_version = :session_version AND disabled_at IS NULL RETURNING id
""")

_LOGGED_OUT = text("UPDATE users SET session_version = session_version + 1 WHERE id = :user_id")


def log_in(name: str, password: str) -> Account | None:
    """Return the user whose name and password these are, or None.

    A wrong password, an unknown and a disabled user take the same time and give the same answer. A hash made with older
    parameters is replaced while the password is at hand.
    """
    password = password[: passwords.LONGEST + 1]  # cut, it can match nobody; whole, it could keep a core busy
    with reading() as session:
        found = queries.credentials_of(session, name) if "\0" not in name else None
    right = passwords.matches(password, found.password_hash if found else None)
    if found is None or not right or found.disabled:
        return None
    new_hash = passwords.hash_of(password) if passwords.needs_rehash(found.password_hash) else None
    account = found.account
    with writing() as session:
        values = {"user_id": account.id, "session_version": account.session_version, "new_hash": new_hash}
        return account if session.execute(_LOGGED_IN, values).scalar() is not None else None


def log_out(user_id: int) -> None:
    """End all sessions of this user: a cookie copied from this browser is worth nothing afterwards."""
    with writing() as session:
        session.execute(_LOGGED_OUT, {"user_id": user_id})
