"""Who may send a delivery now: the claim, its end without a POST, and the end of a delivery nobody listens to."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from orderapp.outbox.messages import enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from .retries import LAST_ATTEMPT

# Longer than the 30 s after which the task is killed: while a run can still record, nobody else sends.
LEASE = timedelta(seconds=45)

# How long after it is due a delivery is missed: its message normally arrives within a second.
RESCUE_AFTER = timedelta(seconds=30)

# In a statement of its own and by id: two runs with lists that overlap would deadlock in the UPDATE.
LOCK = text("SELECT id FROM webhook_deliveries WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

# A message that comes twice, early or late finds nothing to take. A lapsed lease after the last attempt is left to the
# rescuer, which gives the delivery up.
TAKE = text("""
    UPDATE webhook_deliveries
    SET attempt = attempt + 1, rescues = 0,
        lease_until = clock_timestamp() + :lease, rescue_at = clock_timestamp() + :lease
    WHERE id = ANY(:ids) AND state = 'pending' AND due_at <= clock_timestamp()
      AND (lease_until IS NULL OR (lease_until <= clock_timestamp() AND attempt < :last_attempt))
    RETURNING id, attempt, order_id, event_id
""")

GIVE_BACK = text("""
    UPDATE webhook_deliveries d
    SET attempt = d.attempt - 1, lease_until = NULL, due_at = clock_timestamp(), rescue_at = clock_timestamp() + :rescue_after
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS mine (id, attempt)
    WHERE d.id = mine.id AND d.attempt = mine.attempt AND d.state = 'pending'
    RETURNING d.id
""")

DISABLE = text("""
    UPDATE webhook_deliveries SET state = 'disabled', lease_until = NULL, finished_at = clock_timestamp()
    WHERE id = ANY(:ids) AND state = 'pending' AND due_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
    RETURNING id
""")


@dataclass(frozen=True)
class Claim:
    """The right to send one delivery once; ``attempt`` is the fence against a run that comes back from the dead."""

    id: int
    attempt: int
    order_id: int
    event_id: UUID


def take(session: Session, delivery_ids: list[int]) -> list[Claim]:
    """Claim those of the deliveries that are due and not being sent; each counts one attempt more."""
    session.execute(LOCK, {"ids": delivery_ids})
    rows = session.execute(TAKE, {"ids": delivery_ids, "lease": LEASE, "last_attempt": LAST_ATTEMPT})
    return sorted((Claim(*row) for row in rows), key=lambda claim: claim.id)


def give_back(session: Session, claims: list[Claim]) -> list[int]:
    """Undo claims without a POST and send a message for each; returns the deliveries that are free again."""
    ids = [claim.id for claim in claims]
    session.execute(LOCK, {"ids": ids})
    attempts = [claim.attempt for claim in claims]
    free = list(session.scalars(GIVE_BACK, {"ids": ids, "attempts": attempts, "rescue_after": RESCUE_AFTER}))
    if free:
        enqueue_many(WEBHOOKS_DELIVER, free)
    return free


def disable(session: Session, delivery_ids: list[int]) -> list[int]:
    """End those of the deliveries that are due, because there is no endpoint; returns them."""
    session.execute(LOCK, {"ids": delivery_ids})
    return list(session.scalars(DISABLE, {"ids": delivery_ids}))
