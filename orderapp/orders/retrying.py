"""Act: an operator sends a failed order through the pipeline again."""

from sqlalchemy import text

from orderapp import audit
from orderapp.database import writing
from orderapp.errors import ConflictError
from orderapp.orders import states
from orderapp.outbox.messages import enqueue
from orderapp.queues import ORDERS_PROCESS

_FAILURE = text("SELECT failure_reason FROM orders WHERE id = :order_id")

_SOLD = text("SELECT EXISTS (SELECT 1 FROM stock_movements WHERE order_id = :order_id AND kind = 'sale')")


def retry_order(order_id: int, actor: str, reason: str | None = None) -> None:
    """Make a failed order pending again, at the prices it was placed at, with all its attempts.

    Raises NotFoundError, and ConflictError for any other status, or when the order has taken stock: a failed order never
    has, and deducting twice is what must not happen.
    """
    with writing() as session:
        status = states.lock_status(session, order_id)
        if status != "failed":
            raise ConflictError(f"Order {order_id} is {status}; only a failed order can be retried.")
        if session.scalar(_SOLD, {"order_id": order_id}):
            raise ConflictError(f"Order {order_id} has taken stock although it failed; run `flask audit`.")
        before = {"status": status, "failure_reason": session.scalar(_FAILURE, {"order_id": order_id})}
        states.reopen(session, order_id)
        enqueue(ORDERS_PROCESS, order_id)
        audit.record(session, audit.Change(actor, "retry", "order", order_id, before, {"status": "pending"}, reason))
