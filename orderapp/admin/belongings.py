"""Reading what belongs to one row: the lines of an order, the movements of a product."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, text

# Movements shown on a product's page, and orders looked at for them: what happened lately; the rest is one SELECT away.
LATEST = 50

# No index of the ledger begins with a product: it would be written with every sale. Its orders lead to its sales, and what
# has no order (openings and restocks) is few.
_OF_PRODUCT = text("""
WITH by_hand AS (
    SELECT id, order_id, kind, delta, created_at FROM stock_movements
    WHERE order_id IS NULL AND product_id = :product_id ORDER BY id DESC LIMIT :latest
), orders AS MATERIALIZED (
    SELECT order_id FROM order_items WHERE product_id = :product_id ORDER BY order_id DESC LIMIT :latest
), sold AS (
    SELECT m.id, m.order_id, m.kind, m.delta, m.created_at FROM orders CROSS JOIN LATERAL (
        SELECT * FROM stock_movements WHERE order_id = orders.order_id AND product_id = :product_id OFFSET 0
    ) AS m
)
SELECT * FROM by_hand UNION ALL SELECT * FROM sold ORDER BY id DESC LIMIT :latest
""")

_LINES = text("""
SELECT i.id, i.product_id, p.name, i.quantity, i.unit_price, i.quantity * i.unit_price AS amount
FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = :order_id ORDER BY i.id
""")


def movements_of_product(session: Connection, product_id: int) -> Sequence[Row[Any]]:
    """Return what a product's latest orders moved, and what was moved by hand, newest first."""
    return session.execute(_OF_PRODUCT, {"product_id": product_id, "latest": LATEST}).all()


def lines_of_order(session: Connection, order_id: int) -> Sequence[Row[Any]]:
    """Return the lines of an order with their amounts."""
    return session.execute(_LINES, {"order_id": order_id}).all()
