"""Act: users are created, get another password, are disabled and enabled, each with a line in the audit log.

There is no default user and no default password.
"""

import re
from typing import Any

from sqlalchemy import Connection, text

from orderapp import audit
from orderapp.accounts import passwords
from orderapp.accounts.roles import ROLES, SUPERUSER
from orderapp.database import writing
from orderapp.errors import ConflictError, InvalidInputError, NotFoundError

# Plain letters only: "admin" with a Cyrillic a would be somebody else and look the same.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}\Z")

_CREATE = text("""
INSERT INTO users (name, password_hash, role) VALUES (:name, :password_hash, :role)
ON CONFLICT (lower(name)) DO NOTHING RETURNING id
""")

_LOCK = text("SELECT id, name, role, disabled_at FROM users WHERE lower(name) = lower(:name) ORDER BY id FOR NO KEY UPDATE")

_SET_PASSWORD = text("""
UPDATE users SET password_hash = :password_hash, session_version = session_version + 1 WHERE id = :user_id
""")

_DISABLE = text("UPDATE users SET disabled_at = clock_timestamp(), session_version = session_version + 1 WHERE id = :user_id")

_ENABLE = text("UPDATE users SET disabled_at = NULL WHERE id = :user_id")


def create_superuser(name: str, password: str, actor: str) -> int:
    """Create a user who may do everything; returns the id. Raises InvalidInputError, ConflictError."""
    return create_user(name, password, SUPERUSER, actor)


def create_user(name: str, password: str, role: str, actor: str) -> int:
    """Create a user; returns the id. Raises InvalidInputError, and ConflictError when the name is taken in any case."""
    faults = []
    if not _NAME.match(name):
        faults.append(("/name", "Must be 1 to 100 letters, digits and . _ @ + -, beginning with a letter or digit."))
    if role not in ROLES:
        faults.append(("/role", f"Must be one of {', '.join(ROLES)}."))
    _refuse_bad_password(password, name, faults)
    password_hash = passwords.hash_of(password)  # 50 ms, outside of the transaction
    with writing() as session:
        values = {"name": name, "password_hash": password_hash, "role": role}
        user_id: int | None = session.execute(_CREATE, values).scalar()
        if user_id is None:
            raise ConflictError(f"There is a user {name} already; upper and lower case are the same.")
        after = {"name": name, "role": role}
        audit.record(session, audit.Change(actor, "create", "user", user_id, None, after))
    return user_id


def set_password(name: str, password: str, actor: str) -> None:
    """Give a user another password; all of the user's sessions end. Raises NotFoundError, InvalidInputError."""
    _refuse_bad_password(password, name, [])
    password_hash = passwords.hash_of(password)
    with writing() as session:
        user = _locked(session, name)
        session.execute(_SET_PASSWORD, {"user_id": user["id"], "password_hash": password_hash})
        audit.record(session, audit.Change(actor, "set-password", "user", user["id"], None, {"name": user["name"]}))


def disable_user(name: str, actor: str) -> None:
    """Lock a user out; all of the user's sessions end. Disabled already: nothing changes. Raises NotFoundError."""
    with writing() as session:
        user = _locked(session, name)
        if user["disabled_at"] is None:
            session.execute(_DISABLE, {"user_id": user["id"]})
            _record_switch(session, actor, user, disabled=True)


def enable_user(name: str, actor: str) -> None:
    """Let a disabled user in again, with the same password. Enabled already: nothing changes. Raises NotFoundError."""
    with writing() as session:
        user = _locked(session, name)
        if user["disabled_at"] is not None:
            session.execute(_ENABLE, {"user_id": user["id"]})
            _record_switch(session, actor, user, disabled=False)


def _locked(session: Connection, name: str) -> dict[str, Any]:
    row = session.execute(_LOCK, {"name": name}).mappings().one_or_none() if _NAME.match(name) else None
    if row is None:
        raise NotFoundError(f"There is no user {name}.")
    return dict(row)


def _refuse_bad_password(password: str, name: str, faults: list[tuple[str, str]]) -> None:
    fault = passwords.fault_of(password, name)
    if fault:
        faults.append(("/password", fault))
    if faults:
        raise InvalidInputError(faults)


def _record_switch(session: Connection, actor: str, user: dict[str, Any], *, disabled: bool) -> None:
    action = "disable" if disabled else "enable"
    before, after = {"name": user["name"], "disabled": not disabled}, {"name": user["name"], "disabled": disabled}
    audit.record(session, audit.Change(actor, action, "user", user["id"], before, after))
