"""What became of a simulation's orders, as the database has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

_LAST = text("SELECT coalesce(max(id), 0) FROM orders")

# By what they order and not by what was answered: an order whose answer was lost is one, too.
_MINE = """
SELECT id, status, extract(epoch FROM settled_at - created_at) * 1000 AS took FROM orders
WHERE id > :after AND EXISTS (
    SELECT 1 FROM order_items WHERE order_id = orders.id AND product_id = ANY(:products))
"""

_REACHED = text(f"""
SELECT count(*) FILTER (WHERE status NOT IN ('pending', 'processing')) AS settled,
    count(*) FILTER (WHERE status IN ('pending', 'processing')) AS open
FROM ({_MINE}) AS mine
""")

_OUTCOME = text(f"""
SELECT count(*) FILTER (WHERE status = 'confirmed') AS confirmed, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE status IN ('pending', 'processing')) AS open,
    count(*) FILTER (WHERE id = ANY(:accepted)) AS known,
    percentile_disc(0.50) WITHIN GROUP (ORDER BY took) AS p50_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY took) AS p95_ms,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY took) AS p99_ms
FROM ({_MINE}) AS mine
""")

# Stock beside its ledger, and the ledger beside the lines of the orders that were confirmed and are so still.
_CONSERVED = text("""
WITH ledger AS (
    SELECT product_id, sum(delta) AS units, sum(delta) FILTER (WHERE order_id IS NULL) AS received
    FROM stock_movements WHERE product_id = ANY(:products) GROUP BY product_id
), bought AS (
    SELECT product_id, sum(quantity) AS units FROM order_items JOIN orders ON orders.id = order_id
    WHERE product_id = ANY(:products) AND status = 'confirmed' GROUP BY product_id
)
SELECT count(*) = cardinality(CAST(:products AS bigint[]))
    AND bool_and(stock = ledger.units AND stock = received - coalesce(bought.units, 0))
FROM products JOIN ledger ON ledger.product_id = products.id LEFT JOIN bought ON bought.product_id = products.id
""")


@dataclass(frozen=True)
class Outcome:
    """How a simulation's orders ended; times in milliseconds from their placing to their settling."""

    confirmed: int
    failed: int
    cancelled: int
    open: int
    known: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


def last_order(session: Connection) -> int:
    """Return the highest order id there is."""
    return int(session.execute(_LAST).scalar_one())


def reached(session: Connection, after: int, products: Sequence[int]) -> tuple[int, int]:
    """Return how many orders for these products, placed after that one, are final, and how many are not."""
    row = session.execute(_REACHED, {"after": after, "products": list(products)}).one()
    return row.settled, row.open


def outcome(session: Connection, after: int, products: Sequence[int], accepted: Sequence[int]) -> Outcome:
    """Return how the orders for these products, placed after that one, ended; ``known`` counts the accepted among them."""
    values = {"after": after, "products": list(products), "accepted": list(accepted)}
    row = session.execute(_OUTCOME, values).one()
    times = [None if took is None else float(took) for took in (row.p50_ms, row.p95_ms, row.p99_ms)]
    return Outcome(row.confirmed, row.failed, row.cancelled, row.open, row.known, *times)


def conserved(session: Connection, products: Sequence[int]) -> bool:
    """Tell whether the stock of each is its ledger, and the ledger what the confirmed orders bought."""
    return bool(session.scalar(_CONSERVED, {"products": list(products)}))
