"""The only place that changes stock. Every change is a line in the ledger: stock = sum of its movements, at any instant."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

# In id order, so that two settles with crossing products cannot deadlock; NO KEY, because a plain FOR UPDATE would block
# the foreign-key check of every POST that names the product.
_LOCK = text("SELECT id, stock FROM products WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

_RECORD = text("""
INSERT INTO stock_movements (product_id, order_id, delta, kind)
SELECT product_id, order_id, delta, :kind
FROM unnest(CAST(:product_ids AS bigint[]), CAST(:order_ids AS bigint[]), CAST(:deltas AS bigint[]))
    AS m(product_id, order_id, delta)
""")

# The ids once more as a list: joined to the sums alone, a large catalogue was read from end to end.
_APPLY = text("""
UPDATE products SET stock = stock + moved.delta
FROM (SELECT product_id, sum(delta) AS delta
      FROM unnest(CAST(:product_ids AS bigint[]), CAST(:deltas AS bigint[])) AS m(product_id, delta)
      GROUP BY product_id) AS moved
WHERE products.id = moved.product_id AND products.id = ANY(:product_ids)
""")


@dataclass(frozen=True)
class Movement:
    """A change of one product's stock, by an order or (order_id None) by hand."""

    product_id: int
    order_id: int | None
    delta: int


def lock_stock(session: Connection, product_ids: Collection[int]) -> dict[int, int]:
    """Lock these products until the transaction ends; returns the units of each that are there."""
    rows = session.execute(_LOCK, {"ids": sorted(product_ids)})
    return {row.id: row.stock for row in rows}


def open_stock(session: Connection, openings: Sequence[Movement]) -> None:
    """Give new products their first stock."""
    _move(session, "opening", openings)


def deduct(session: Connection, sales: Sequence[Movement]) -> None:
    """Take what these orders bought. The database refuses a second deduction for the same order line."""
    _move(session, "sale", sales)


def give_back(session: Connection, returns: Sequence[Movement]) -> None:
    """Return what a cancelled order had bought. The database refuses a second return of the same order line."""
    _move(session, "return", returns)


def restock(session: Connection, movement: Movement) -> None:
    """Add units that arrived, or (negative) take away what is not there; the caller has locked the product."""
    _move(session, "restock", [movement])


def _move(session: Connection, kind: str, movements: Sequence[Movement]) -> None:
    if not movements:
        return
    product_ids = [movement.product_id for movement in movements]
    deltas = [movement.delta for movement in movements]
    order_ids = [movement.order_id for movement in movements]
    session.execute(_RECORD, {"kind": kind, "product_ids": product_ids, "order_ids": order_ids, "deltas": deltas})
    session.execute(_APPLY, {"product_ids": product_ids, "deltas": deltas})
