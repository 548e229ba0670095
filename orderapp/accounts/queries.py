"""Reading users. Password hashes leave this room for nobody."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

_BY_NAME = text("""
SELECT id, name, role, session_version, password_hash, disabled_at FROM users WHERE lower(name) = lower(:name)
""")

_ACTIVE = text("SELECT id, name, role, session_version FROM users WHERE id = :user_id AND disabled_at IS NULL")

_LIST = text("SELECT id, name, role, disabled_at, last_login_at, created_at FROM users ORDER BY id")

_ANY = text("SELECT EXISTS (SELECT 1 FROM users WHERE disabled_at IS NULL)")


@dataclass(frozen=True)
class Account:
    """A user who may work; ``session_version`` is part of each session and ends it by counting up."""

    id: int
    name: str
    role: str
    session_version: int


@dataclass(frozen=True)
class Credentials:
    """What a login is checked against."""

    account: Account
    password_hash: str
    disabled: bool


def credentials_of(session: Session, name: str) -> Credentials | None:
    """Return what the user of this name logs in with; upper and lower case are the same."""
    row = session.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None:
        return None
    account = Account(row.id, row.name, row.role, row.session_version)
    return Credentials(account, row.password_hash, row.disabled_at is not None)


def active_account(session: Session, user_id: int) -> Account | None:
    """Return the user, unless disabled."""
    row = session.execute(_ACTIVE, {"user_id": user_id}).one_or_none()
    return Account(*row) if row else None


def list_users(session: Session) -> list[dict[str, Any]]:
    """Return all users as plain rows."""
    return [dict(row) for row in session.execute(_LIST).mappings()]


def anybody(session: Session) -> bool:
    """Tell whether there is anybody who could log in."""
    return bool(session.scalar(_ANY))
