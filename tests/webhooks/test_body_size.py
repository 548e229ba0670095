"""The largest order there can be still fits into a body that every receiver takes."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from orderapp.orders.queries import EventSnapshot, ItemView, OrderView
from orderapp.webhooks.payload import LARGEST_BODY, body_of

# A busy shop's ids after years; the longest of everything else.
LATE = 99_999_999


def snapshot(name: str, lines: int = 100, *, failed: bool = True) -> EventSnapshot:
    """Return the event of an order with so many lines, all of products of this name."""
    items = tuple(ItemView(LATE, name, LATE, 1_000_000, Decimal("9999999999.99")) for _ in range(lines))
    shortages = [{"product_id": LATE, "requested": 1_000_000, "available": 999_999} for _ in range(lines)]
    reason = {"code": "insufficient_stock", "shortages": shortages} if failed else None
    order = OrderView(LATE, "failed", None, "USD", "x" * 64, False, items, reason, datetime.now(UTC))
    return EventSnapshot(UUID(int=1), "order.failed", 2, datetime.now(UTC), order)


@pytest.mark.parametrize("name", ["n" * 200, "ü" * 200, "漢" * 200, '"' * 200, "\\" * 200, "🪔" * 200])
@pytest.mark.parametrize("failed", [True, False])
def test_a_hundred_long_lines_stay_below_the_limit(name: str, *, failed: bool) -> None:
    """Only names are cut, visibly; ids, quantities, prices and shortages are all there."""
    body = body_of(snapshot(name, failed=failed))
    assert len(body) <= LARGEST_BODY == 20_000
    data = orjson.loads(body)["data"]
    assert len(data["items"]) == 100
    assert {item["product_id"] for item in data["items"]} == {LATE}
    assert all(
        item["product"] == "" or (item["product"].endswith("…") and name.startswith(item["product"][:-1]))
        for item in data["items"]
    )
    assert not failed or len(data["failure_reason"]["shortages"]) == 100


def test_an_order_of_usual_size_is_told_in_full() -> None:
    """Cut is what does not fit, nothing else; short names stay even in a large order."""
    names = [item["product"] for item in orjson.loads(body_of(snapshot("n" * 200, 10)))["data"]["items"]]
    assert names == ["n" * 200] * 10
    large = snapshot("n" * 200)
    mixed = replace(
        large, order=replace(large.order, items=(replace(large.order.items[0], product="Pen"), *large.order.items[1:]))
    )
    assert orjson.loads(body_of(mixed))["data"]["items"][0]["product"] == "Pen"


def test_the_same_event_is_cut_to_the_same_bytes() -> None:
    """A receiver may compare two attempts."""
    large = snapshot("ü" * 200)
    assert body_of(large) == body_of(large)
