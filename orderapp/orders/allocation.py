"""Who gets stock: pure arithmetic over locked rows."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from orderapp.orders.states import Outcome
from orderapp.products.stock import Movement


class ItemRow(NamedTuple):
    """A line as the settle transaction reads it."""

    order_id: int
    product_id: int
    quantity: int
    unit_price: Decimal


def allocate(
    order_ids: Sequence[int], items: Sequence[ItemRow], stock: Mapping[int, int]
) -> tuple[list[Outcome], list[Movement]]:
    """Return how each order ends and what leaves the stock.

    Orders are served in id order, each all or nothing; one that falls short names every shortage at once and takes nothing.
    """
    left = dict(stock)
    lines: dict[int, list[ItemRow]] = {order_id: [] for order_id in sorted(order_ids)}
    for item in items:
        lines[item.order_id].append(item)
    outcomes, sales = [], []
    for order_id, wanted in lines.items():
        shortages = _shortages(wanted, left)
        if shortages:
            outcomes.append(Outcome(order_id, None, {"code": "insufficient_stock", "shortages": shortages}))
            continue
        for item in wanted:
            left[item.product_id] -= item.quantity
            sales.append(Movement(item.product_id, order_id, -item.quantity))
        outcomes.append(Outcome(order_id, sum((item.quantity * item.unit_price for item in wanted), Decimal(0)), None))
    return outcomes, sales


def _shortages(wanted: Sequence[ItemRow], left: Mapping[int, int]) -> list[dict[str, Any]]:
    return [
        {"product_id": item.product_id, "requested": item.quantity, "available": left.get(item.product_id, 0)}
        for item in wanted
        if item.quantity > left.get(item.product_id, 0)
    ]
