"""Act: an operator (or a client) cancels an order; what it had bought goes back to stock, exactly once."""

from sqlalchemy import text

from orderapp import audit
from orderapp.database import writing
from orderapp.errors import ConflictError
from orderapp.orders import states
from orderapp.products import stock
from orderapp.products.stock import Movement

_ITEMS = text("SELECT product_id, quantity FROM order_items WHERE order_id = :order_id ORDER BY product_id")

_TOTAL = text("SELECT total_amount FROM orders WHERE id = :order_id")


def cancel_order(order_id: int, actor: str, reason: str | None = None, *, client_id: int | None = None) -> None:
    """Cancel a pending or confirmed order of this client; client None is the operator, whom all orders are open to.

    Afterwards its stock is returned and its webhook is on the way. Racing a worker is safe: whoever locks the order first
    decides. Raises NotFoundError, and ConflictError for any other status.
    """
    with writing() as session:
        status = states.lock_status(session, order_id, client_id)
        if status == "processing":
            raise ConflictError(f"Order {order_id} is being processed; try again in a moment.")
        if status not in {"pending", "confirmed"}:
            raise ConflictError(f"Order {order_id} is {status}; only a pending or confirmed order can be cancelled.")
        if status == "confirmed":
            items = session.execute(_ITEMS, {"order_id": order_id}).all()
            stock.lock_stock(session, [item.product_id for item in items])
            stock.give_back(session, [Movement(item.product_id, order_id, item.quantity) for item in items])
        states.cancel(session, order_id)
        before = {"status": status, "total_amount": session.scalar(_TOTAL, {"order_id": order_id})}
        audit.record(session, audit.Change(actor, "cancel", "order", order_id, before, {"status": "cancelled"}, reason))
