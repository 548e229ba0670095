"""What an attempt came to, written where the next one and the order look."""

from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from orderapp.orders import states
from orderapp.outbox.messages import enqueue
from orderapp.queues import WEBHOOKS_DELIVER

from . import queries
from .claims import RESCUE_AFTER, Claim
from .endpoint import Answer
from .retries import delay_after

Outcome = Literal["succeeded", "postponed", "exhausted", "outrun"]

# Before the delivery: of two last deliveries that end at once, the second must see the first.
LOCK_ORDER = text("SELECT id FROM orders WHERE id = :order_id ORDER BY id FOR NO KEY UPDATE")

# Both need the lease of this attempt: the same record written twice hits once.
FINISH = text("""
    UPDATE webhook_deliveries SET state = :state, lease_until = NULL, finished_at = clock_timestamp()
    WHERE id = :id AND attempt = :attempt AND state = 'pending' AND lease_until IS NOT NULL
    RETURNING id
""")

POSTPONE = text("""
    UPDATE webhook_deliveries
    SET lease_until = NULL, due_at = clock_timestamp() + :delay, rescue_at = clock_timestamp() + :delay + :rescue_after
    WHERE id = :id AND attempt = :attempt AND state = 'pending' AND lease_until IS NOT NULL
    RETURNING due_at
""")

INSERT_ATTEMPT = text("""
    INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code, error)
    VALUES (:id, :attempt, :started_at, :duration_ms, :status_code, :error)
""")


def record(session: Session, claim: Claim, answer: Answer) -> Outcome:
    """Record one attempt, unless another run has taken the delivery over; only a hit writes the next outbox row."""
    session.execute(LOCK_ORDER, {"order_id": claim.order_id})
    outcome = _move(session, claim, answer)
    if outcome != "outrun":
        session.execute(INSERT_ATTEMPT, {"id": claim.id, "attempt": claim.attempt, **answer.columns})
    if outcome == "succeeded":
        states.set_webhook_sent(session, claim.order_id, sent=queries.all_received(session, claim.order_id))
    return outcome


def _move(session: Session, claim: Claim, answer: Answer) -> Outcome:
    mine = {"id": claim.id, "attempt": claim.attempt}
    delay = delay_after(claim.attempt)
    if answer.received or delay is None:
        state: Outcome = "succeeded" if answer.received else "exhausted"
        return state if session.scalar(FINISH, {**mine, "state": state}) else "outrun"
    due_at = session.scalar(POSTPONE, {**mine, "delay": delay, "rescue_after": RESCUE_AFTER})
    if due_at is None:
        return "outrun"
    enqueue(WEBHOOKS_DELIVER, claim.id, available_at=due_at)
    return "postponed"
