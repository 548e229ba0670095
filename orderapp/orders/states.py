"""The only place that moves an order: pending -> processing -> confirmed | failed; an operator cancels or reopens.

A claim is a lease: the worker that dies leaves an order that anybody may claim again once ``lease_until`` has passed.
The pair (task_id, attempts) is the fence: a task id alone does not tell two runs of one message apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, text

from orderapp.errors import NotFoundError
from orderapp.orders import events

# Seconds that a claim holds: longer than the 10 s after which a task is killed, so that no live run is overtaken.
LEASE = 15

# Seconds from the POST to the first rescue: a healthy pipeline settles in a fraction of one.
RESCUE_AFTER = 30

# Runs an order gets: one with its batch and two alone. A third failure alone would tell nothing new.
MOST_ATTEMPTS = 3

# Open, and nobody is at it.
_FREE = "(status = 'pending' OR (status = 'processing' AND lease_until <= clock_timestamp()))"

# Never claimed, or given back by an outage that counted for nothing.
_LOCK_NEW = text(f"SELECT id FROM orders WHERE id = ANY(:ids) AND attempts = 0 AND {_FREE} ORDER BY id FOR NO KEY UPDATE")

# Claimed before. Fewest attempts first: who brought a worker down comes last.
_INTERRUPTED = text(f"SELECT id FROM orders WHERE id = ANY(:ids) AND attempts > 0 AND {_FREE} ORDER BY attempts, id")
_LOCK_INTERRUPTED = text(
    f"SELECT id FROM orders WHERE id = ANY(:ids) AND attempts > 0 AND {_FREE} ORDER BY id FOR NO KEY UPDATE"
)

# clock_timestamp(): now() is the transaction's start, which may lie a lock wait back.
_CLAIM = text("""
UPDATE orders SET status = 'processing', task_id = CAST(:task_id AS uuid), attempts = attempts + 1, rescues = 0,
    claimed_at = clock_timestamp(),
    lease_until = clock_timestamp() + make_interval(secs => :lease),
    rescue_at = clock_timestamp() + make_interval(secs => :lease)
WHERE id = ANY(:ids) RETURNING id, attempts
""")

_LOCK_CLAIMED = text("""
SELECT orders.id FROM orders
JOIN unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS mine(id, attempts)
    ON orders.id = mine.id AND orders.attempts = mine.attempts
WHERE orders.status = 'processing' AND orders.task_id = CAST(:task_id AS uuid)
ORDER BY orders.id FOR NO KEY UPDATE OF orders
""")

# last_sequence is counted in the statement that holds the row: reading max() first gave two writers one number. The ids
# once more as a list: joined to the outcomes alone, a table of 10,000 orders was read from end to end.
_SETTLE = text("""
UPDATE orders SET status = outcome.status, total_amount = outcome.total_amount, failure_reason = CAST(outcome.reason AS jsonb),
    settled_at = clock_timestamp(), lease_until = NULL, rescue_at = NULL, last_sequence = last_sequence + 1
FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:totals AS numeric[]), CAST(:reasons AS text[]))
    AS outcome(id, status, total_amount, reason)
WHERE orders.id = outcome.id AND orders.id = ANY(:ids) RETURNING orders.id, orders.last_sequence
""")

_RELEASE = text("""
UPDATE orders SET attempts = attempts - :uncounted, lease_until = clock_timestamp(), rescue_at = clock_timestamp()
WHERE id = ANY(:ids) AND status = 'processing' AND task_id = CAST(:task_id AS uuid)
""")

# A confirmed order keeps settled_at, the moment of its sale; a pending one is settled by being cancelled.
_CANCEL = text("""
UPDATE orders SET status = 'cancelled', webhook_sent = false, lease_until = NULL, rescue_at = NULL,
    settled_at = coalesce(settled_at, clock_timestamp()), last_sequence = last_sequence + 1
WHERE id = :order_id RETURNING last_sequence
""")

_REOPEN = text("""
UPDATE orders SET status = 'pending', webhook_sent = false, task_id = NULL, attempts = 0, lease_until = NULL, claimed_at = NULL,
    failure_reason = NULL, settled_at = NULL, rescues = 0,
    rescue_at = clock_timestamp() + make_interval(secs => :rescue_after), last_sequence = last_sequence + 1
WHERE id = :order_id RETURNING last_sequence
""")

_LOCK_ONE = text("""
SELECT status FROM orders WHERE id = :order_id AND (CAST(:client_id AS bigint) IS NULL OR client_id = :client_id)
ORDER BY id FOR NO KEY UPDATE
""")

_WEBHOOK_SENT = text("UPDATE orders SET webhook_sent = true WHERE id = ANY(:ids)")


@dataclass(frozen=True)
class Claim:
    """One order and the run that may settle it."""

    order_id: int
    attempts: int


@dataclass(frozen=True)
class Outcome:
    """How an order ends: confirmed with its total, or failed with its reason."""

    order_id: int
    total_amount: Decimal | None
    failure_reason: dict[str, Any] | None

    @property
    def status(self) -> str:
        """Return the final status."""
        return "confirmed" if self.failure_reason is None else "failed"

    @property
    def event(self) -> tuple[str, dict[str, Any]]:
        """Return the event's type and public data."""
        if self.failure_reason is None:
            return events.CONFIRMED, {"total_amount": str(self.total_amount)}
        return events.FAILED, {"failure_reason": self.failure_reason}


def claim_new(session: Connection, order_ids: Sequence[int], task_id: str) -> list[Claim]:
    """Claim those of these orders that nobody has claimed yet."""
    return _claim(session, list(session.scalars(_LOCK_NEW, {"ids": list(order_ids)})), task_id)


def interrupted(session: Connection, order_ids: Sequence[int]) -> list[int]:
    """Return those of these orders whose last run ended without settling them, fewest attempts first."""
    return list(session.scalars(_INTERRUPTED, {"ids": list(order_ids)}))


def claim_interrupted(session: Connection, order_id: int, task_id: str) -> Claim | None:
    """Claim one order again, alone; None when somebody else was faster."""
    claims = _claim(session, list(session.scalars(_LOCK_INTERRUPTED, {"ids": [order_id]})), task_id)
    return claims[0] if claims else None


def lock_claimed(session: Connection, claims: Sequence[Claim], task_id: str) -> list[int]:
    """Lock the orders that this run still holds; a run that lost its claim gets none and changes nothing."""
    values = {"ids": [claim.order_id for claim in claims], "attempts": [claim.attempts for claim in claims], "task_id": task_id}
    return list(session.scalars(_LOCK_CLAIMED, values))


def settle(session: Connection, outcomes: Sequence[Outcome]) -> None:
    """Write how locked orders end, and tell it as events."""
    if not outcomes:
        return
    values = {
        "ids": [outcome.order_id for outcome in outcomes],
        "statuses": [outcome.status for outcome in outcomes],
        "totals": [outcome.total_amount for outcome in outcomes],
        "reasons": [orjson.dumps(outcome.failure_reason).decode() if outcome.failure_reason else None for outcome in outcomes],
    }
    sequences = {row.id: row.last_sequence for row in session.execute(_SETTLE, values)}
    events.record(session, [events.new_event(one.order_id, sequences[one.order_id], *one.event) for one in outcomes])


def release(session: Connection, claims: Sequence[Claim], task_id: str, *, counted: bool = True) -> None:
    """Give claimed orders back, to be claimed at once: alone when the attempt counts, as if untouched when it does not."""
    held = lock_claimed(session, claims, task_id)
    session.execute(_RELEASE, {"ids": held, "task_id": task_id, "uncounted": 0 if counted else 1})


def lock_status(session: Connection, order_id: int, client_id: int | None = None) -> str:
    """Lock one order until the transaction ends; returns its status. Client None is the operator. Raises NotFoundError."""
    status: str | None = session.scalar(_LOCK_ONE, {"order_id": order_id, "client_id": client_id})
    if status is None:
        raise NotFoundError(f"There is no order {order_id}.")
    return status


def cancel(session: Connection, order_id: int) -> None:
    """Move a locked pending or confirmed order to cancelled, and tell it."""
    sequence: int = session.execute(_CANCEL, {"order_id": order_id}).scalar_one()
    events.record(session, [events.new_event(order_id, sequence, events.CANCELLED, {})])


def reopen(session: Connection, order_id: int) -> None:
    """Move a locked failed order back to pending, as if it had never been tried, and tell it."""
    sequence: int = session.execute(_REOPEN, {"order_id": order_id, "rescue_after": RESCUE_AFTER}).scalar_one()
    events.record(session, [events.new_event(order_id, sequence, events.REOPENED, {})])


def set_webhook_sent(session: Connection, order_ids: Sequence[int]) -> None:
    """Note that the latest outcome reached every receiver; the caller holds the orders' locks."""
    session.execute(_WEBHOOK_SENT, {"ids": list(order_ids)})


def _claim(session: Connection, locked: list[int], task_id: str) -> list[Claim]:
    if not locked:
        return []
    rows = session.execute(_CLAIM, {"ids": locked, "task_id": task_id, "lease": LEASE})
    return sorted((Claim(row.id, row.attempts) for row in rows), key=lambda claim: claim.order_id)
