"""Reading what belongs to one row: lines, movements, attempts; and what waits for somebody."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

# Movements shown on a product's page: what happened lately; the rest is one SELECT away.
LATEST = 50

# A count on the first page stops here: beyond it the number changes nothing about what to do.
MOST_COUNTED = 1000

_OF_PRODUCT = text(f"""
SELECT id, order_id, kind, delta, created_at FROM stock_movements WHERE product_id = :product_id ORDER BY id DESC LIMIT {LATEST}
""")

_OF_ORDER = text("""
SELECT m.id, m.product_id, p.name, m.kind, m.delta, m.created_at
FROM stock_movements m JOIN products p ON p.id = m.product_id WHERE m.order_id = :order_id ORDER BY m.id
""")

_LINES = text("""
SELECT i.id, i.product_id, p.name, i.quantity, i.unit_price, i.quantity * i.unit_price AS amount
FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = :order_id ORDER BY i.id
""")

_ATTEMPTS = text("""
SELECT a.id, a.delivery_id, a.attempt, a.started_at, a.duration_ms, a.status_code, a.error
FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery_id WHERE d.order_id = :order_id ORDER BY a.id
""")

_WAITING = text(f"""
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM orders WHERE status IN ('pending', 'processing') LIMIT {MOST_COUNTED}) AS o)
        AS open_orders,
    (SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries WHERE state = 'pending' LIMIT {MOST_COUNTED}) AS d)
        AS open_deliveries,
    (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE parked_at IS NOT NULL LIMIT {MOST_COUNTED}) AS m) AS parked
""")


def movements_of_product(session: Session, product_id: int) -> Sequence[Row[Any]]:
    """Return the latest lines of a product's ledger, newest first."""
    return session.execute(_OF_PRODUCT, {"product_id": product_id}).all()


def movements_of_order(session: Session, order_id: int) -> Sequence[Row[Any]]:
    """Return the stock that an order took and gave back."""
    return session.execute(_OF_ORDER, {"order_id": order_id}).all()


def lines_of_order(session: Session, order_id: int) -> Sequence[Row[Any]]:
    """Return the lines of an order with their amounts."""
    return session.execute(_LINES, {"order_id": order_id}).all()


def attempts_of_order(session: Session, order_id: int) -> Sequence[Row[Any]]:
    """Return every POST about an order."""
    return session.execute(_ATTEMPTS, {"order_id": order_id}).all()


def waiting(session: Session) -> dict[str, int]:
    """Return how many things are on their way or wait for a decision, each counted to MOST_COUNTED."""
    return dict(session.execute(_WAITING).mappings().one())
