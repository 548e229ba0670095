"""Reading users and API keys. Hashes leave this room for nobody."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from orderapp.access import Client

# Seconds within which the uses of a key are one: who looks for forgotten keys thinks in weeks, and each note is a write.
NOTED_FOR = 60

_BY_NAME = text("""
SELECT id, name, role, session_version, password_hash, disabled_at FROM users WHERE lower(name) = lower(:name)
""")

_ACTIVE = text("SELECT id, name, role, session_version FROM users WHERE id = :user_id AND disabled_at IS NULL")

_LIST = text("SELECT id, name, role, disabled_at, last_login_at, created_at FROM users ORDER BY id")

_ANY = text("SELECT EXISTS (SELECT 1 FROM users WHERE disabled_at IS NULL)")

_KEY = text("""
SELECT api_keys.id, api_keys.secret_hash, api_keys.scopes, api_clients.id AS client_id, api_clients.name,
    last_used_at IS NULL OR last_used_at < clock_timestamp() - make_interval(secs => :noted_for) AS use_is_news
FROM api_keys JOIN api_clients ON api_clients.id = api_keys.client_id
WHERE api_keys.prefix = :prefix AND api_keys.revoked_at IS NULL
""").execution_options(prepared="active_key")

_KEYS = text("""
SELECT api_keys.prefix, api_clients.name AS client, array_to_string(api_keys.scopes, ' ') AS scopes, api_keys.created_at,
    api_keys.last_used_at, api_keys.revoked_at
FROM api_keys JOIN api_clients ON api_clients.id = api_keys.client_id ORDER BY api_keys.id
""")


@dataclass(frozen=True)
class ActiveKey:
    """What a key that was sent is checked against, and whose it is."""

    client: Client
    secret_hash: bytes


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


def credentials_of(session: Connection, name: str) -> Credentials | None:
    """Return what the user of this name logs in with; upper and lower case are the same."""
    row = session.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None:
        return None
    account = Account(row.id, row.name, row.role, row.session_version)
    return Credentials(account, row.password_hash, row.disabled_at is not None)


def active_account(session: Connection, user_id: int) -> Account | None:
    """Return the user, unless disabled."""
    row = session.execute(_ACTIVE, {"user_id": user_id}).one_or_none()
    return Account(*row) if row else None


def list_users(session: Connection) -> list[dict[str, Any]]:
    """Return all users as plain rows."""
    return [dict(row) for row in session.execute(_LIST).mappings()]


def anybody(session: Connection) -> bool:
    """Tell whether there is anybody who could log in."""
    return bool(session.scalar(_ANY))


def active_key(session: Connection, prefix: str) -> ActiveKey | None:
    """Return the key of this prefix, unless revoked."""
    row = session.execute(_KEY, {"prefix": prefix, "noted_for": NOTED_FOR}).one_or_none()
    if row is None:
        return None
    client = Client(row.client_id, row.name, frozenset(row.scopes), key_id=row.id, use_is_news=row.use_is_news)
    return ActiveKey(client, bytes(row.secret_hash))


def list_keys(session: Connection) -> list[dict[str, Any]]:
    """Return all keys as plain rows, the revoked ones too."""
    return [dict(row) for row in session.execute(_KEYS).mappings()]
