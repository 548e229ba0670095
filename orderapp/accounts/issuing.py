"""Act: API keys are issued and revoked, each with a line in the audit log; their last use is noted.

The key itself is seen once, by whoever had it issued; the database holds a hash.
"""

from collections.abc import Sequence

from sqlalchemy import text

from orderapp import audit
from orderapp.access import SCOPES
from orderapp.accounts.keys import new_key
from orderapp.accounts.queries import NOTED_FOR
from orderapp.database import writing
from orderapp.errors import ConflictError, InvalidInputError, NotFoundError

# Two, so that a key can be replaced while the old one still works; a third would be one that somebody forgot.
MOST_ACTIVE_KEYS = 2

# Characters of a client's name, as the column has it.
LONGEST_NAME = 100

_CREATE_CLIENT = text("INSERT INTO api_clients (name) VALUES (:name) ON CONFLICT (name) DO NOTHING")

# Two keys issued at once count one after the other.
_LOCK_CLIENT = text("SELECT id FROM api_clients WHERE name = :name ORDER BY id FOR NO KEY UPDATE")

_ACTIVE = text("SELECT count(*) FROM api_keys WHERE client_id = :client_id AND revoked_at IS NULL")

_ISSUE = text("""
INSERT INTO api_keys (client_id, prefix, secret_hash, scopes) VALUES (:client_id, :prefix, :secret_hash, :scopes) RETURNING id
""")

_REVOKE = text("""
UPDATE api_keys SET revoked_at = clock_timestamp() WHERE prefix = :prefix AND revoked_at IS NULL RETURNING id
""")

_KNOWN = text("SELECT 1 FROM api_keys WHERE prefix = :prefix")

# Many requests of one key end at once: one notes it, the others find the row locked or noted and go.
_NOTE = text("""
UPDATE api_keys SET last_used_at = clock_timestamp() WHERE id IN (
    SELECT id FROM api_keys
    WHERE id = :key_id AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - make_interval(secs => :noted_for))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
""")


def issue_key(name: str, scopes: Sequence[str], actor: str) -> str:
    """Give the client of this name (made when there is none) another key with these scopes; returns the key.

    Raises InvalidInputError, and ConflictError when the client has two keys already.
    """
    _refuse_faults(name, scopes)
    key = new_key()
    with writing() as session:
        session.execute(_CREATE_CLIENT, {"name": name})
        client_id: int = session.execute(_LOCK_CLIENT, {"name": name}).scalar_one()
        if session.execute(_ACTIVE, {"client_id": client_id}).scalar_one() >= MOST_ACTIVE_KEYS:
            raise ConflictError(f"{name} has {MOST_ACTIVE_KEYS} active keys; revoke one first.")
        row = {"client_id": client_id, "prefix": key.prefix, "secret_hash": key.secret_hash, "scopes": sorted(set(scopes))}
        key_id: int = session.execute(_ISSUE, row).scalar_one()
        after = {"client": name, "prefix": key.prefix, "scopes": row["scopes"]}
        audit.record(session, audit.Change(actor, "issue", "api_key", key_id, None, after))
    return key.text


def revoke_key(prefix: str, actor: str) -> None:
    """End a key: the next request with it is refused. Revoked already: nothing changes. Raises NotFoundError."""
    with writing() as session:
        key_id: int | None = session.execute(_REVOKE, {"prefix": prefix}).scalar()
        if key_id is not None:
            audit.record(session, audit.Change(actor, "revoke", "api_key", key_id, None, {"prefix": prefix}))
        elif session.execute(_KNOWN, {"prefix": prefix}).scalar() is None:
            raise NotFoundError(f"There is no key {prefix}.")


def note_use(key_id: int) -> None:
    """Write down that the key was used now, unless that was written down within the last minute."""
    with writing() as session:
        session.execute(_NOTE, {"key_id": key_id, "noted_for": NOTED_FOR})


def _refuse_faults(name: str, scopes: Sequence[str]) -> None:
    faults = []
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        faults.append(("/name", f"Must be 1 to {LONGEST_NAME} printable characters, without blanks around them."))
    if not scopes or set(scopes) - set(SCOPES):
        faults.append(("/scopes", f"Must be one or more of {', '.join(SCOPES)}."))
    if faults:
        raise InvalidInputError(faults)
