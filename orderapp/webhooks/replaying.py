"""Sending a delivery again that was given up, on an operator's word."""

from sqlalchemy import text

from orderapp import audit
from orderapp.database import writing
from orderapp.errors import ConflictError, NotFoundError
from orderapp.outbox.messages import enqueue
from orderapp.queues import WEBHOOKS_DELIVER

from .claims import RESCUE_AFTER

STATE = text("SELECT state FROM webhook_deliveries WHERE id = :id ORDER BY id FOR NO KEY UPDATE")

# The count of attempts goes on: each POST keeps its own row in webhook_attempts.
REOPEN = text("""
    UPDATE webhook_deliveries
    SET state = 'pending', lease_until = NULL, finished_at = NULL, rescues = 0,
        due_at = clock_timestamp(), rescue_at = clock_timestamp() + :rescue_after
    WHERE id = :id
""")


def resend(delivery_id: int, actor: str = "system", reason: str | None = None) -> None:
    """Make an exhausted or disabled delivery due now, with a line in the audit log. Past its last attempt it gets one more.

    Raises NotFoundError, or ConflictError when it is pending (it is sent anyway) or succeeded (the receiver has it).
    """
    with writing() as session:
        state = session.scalar(STATE, {"id": delivery_id})
        if state is None:
            raise NotFoundError(f"there is no delivery {delivery_id}")
        if state not in {"exhausted", "disabled"}:
            raise ConflictError(f"delivery {delivery_id} is {state}; only an exhausted or disabled one can be sent again")
        session.execute(REOPEN, {"id": delivery_id, "rescue_after": RESCUE_AFTER})
        enqueue(WEBHOOKS_DELIVER, delivery_id)
        before, after = {"state": state}, {"state": "pending"}
        audit.record(session, audit.Change(actor, "resend", "delivery", delivery_id, before, after, reason))
