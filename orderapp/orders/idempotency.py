"""Idempotency keys: a POST that is repeated under its key is answered as it was the first time, and orders nothing more.

The row is written in the transaction of its order; who inserts the same key meanwhile waits for that transaction to end.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from orderapp.orders.lines import Line

# Seconds that a repeated POST waits for the first one to end: one takes milliseconds, and a client that gave up waiting
# after less would only ask again.
PATIENCE = 2

_LOCK_NOT_AVAILABLE = "55P03"

# The patience holds for this transaction only, and is set before the insert can wait.
_KEEP = text("""
INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, response)
SELECT :client_id, :key, :fingerprint, :order_id, :response
WHERE set_config('lock_timeout', :patience, true) IS NOT NULL
ON CONFLICT (client_id, key) DO NOTHING RETURNING order_id
""")

_FIND = text("SELECT fingerprint, order_id, response FROM idempotency_keys WHERE client_id = :client_id AND key = :key")


class KeyTakenError(Exception):
    """Another request stored its answer under this key, or is about to."""


@dataclass(frozen=True)
class Key:
    """The key that a client sent, and which order it sent with it."""

    client_id: int
    key: str
    fingerprint: bytes


@dataclass(frozen=True)
class Answer:
    """What the client is answered, byte for byte."""

    order_id: int
    body: bytes
    replayed: bool = False


def fingerprint(lines: Sequence[Line], reference: str | None) -> bytes:
    """Return what two bodies share exactly when they ask for the same; blanks and the order of names do not matter."""
    asked = [[line.product_id, line.quantity] for line in lines]
    return hashlib.sha256(orjson.dumps([asked, reference])).digest()


def keep(session: Connection, key: Key, answer: Answer) -> None:
    """Store the answer in the transaction of its order. Raises KeyTakenError; that transaction must then be undone."""
    values = {
        "client_id": key.client_id,
        "key": key.key,
        "fingerprint": key.fingerprint,
        "order_id": answer.order_id,
        "response": answer.body,
        "patience": f"{PATIENCE}s",
    }
    try:
        kept = session.execute(_KEEP, values).scalar()
    except OperationalError as error:
        if _waited_for_a_key(error):
            raise KeyTakenError from error
        raise
    if kept is None:
        raise KeyTakenError


def find(session: Connection, key: Key) -> tuple[bytes, Answer] | None:
    """Return what is stored under the key: the fingerprint of its order, and the answer."""
    row = session.execute(_FIND, {"client_id": key.client_id, "key": key.key}).one_or_none()
    return (bytes(row.fingerprint), Answer(row.order_id, bytes(row.response), replayed=True)) if row else None


def _waited_for_a_key(error: OperationalError) -> bool:
    # Any other lock that was not to be had in time is an outage like all of them; PostgreSQL says where it waited.
    diagnosis = getattr(error.orig, "diag", None)
    is_lock = getattr(error.orig, "pgcode", None) == _LOCK_NOT_AVAILABLE
    return is_lock and "idempotency_keys" in (getattr(diagnosis, "context", None) or "")
