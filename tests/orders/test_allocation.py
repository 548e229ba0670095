"""Allocation: who gets stock, as arithmetic."""

from decimal import Decimal

from orderapp.orders.allocation import ItemRow, allocate
from orderapp.orders.states import Outcome
from orderapp.products.stock import Movement


def item(order_id: int, product_id: int, quantity: int, price: str = "1.00") -> ItemRow:
    """Return a line of an order."""
    return ItemRow(order_id, product_id, quantity, Decimal(price))


def test_orders_are_served_in_id_order_whatever_order_they_come_in() -> None:
    """Who ordered first gets it."""
    outcomes, sales = allocate([9, 3], [item(9, 1, 1), item(3, 1, 1)], {1: 1})
    assert [(outcome.order_id, outcome.status) for outcome in outcomes] == [(3, "confirmed"), (9, "failed")]
    assert sales == [Movement(1, 3, -1)]


def test_an_order_is_all_or_nothing_and_what_it_does_not_get_is_left_for_the_next() -> None:
    """The failed one takes nothing, not even of what there was enough of."""
    outcomes, sales = allocate([1, 2], [item(1, 7, 1), item(1, 8, 5), item(2, 7, 1)], {7: 1, 8: 4})
    assert outcomes[0].failure_reason == {
        "code": "insufficient_stock",
        "shortages": [{"product_id": 8, "requested": 5, "available": 4}],
    }
    assert outcomes[1].status == "confirmed"
    assert sales == [Movement(7, 2, -1)]


def test_what_earlier_orders_of_the_batch_took_is_not_available_any_more() -> None:
    """The second order is told what is left after the first."""
    outcomes, _ = allocate([1, 2], [item(1, 7, 3), item(2, 7, 3)], {7: 5})
    assert outcomes[1].failure_reason is not None
    assert outcomes[1].failure_reason["shortages"] == [{"product_id": 7, "requested": 3, "available": 2}]


def test_the_last_unit_can_be_sold() -> None:
    """Down to nothing, and not below."""
    outcomes, sales = allocate([1], [item(1, 7, 5, "2.50")], {7: 5})
    assert outcomes == [Outcome(1, Decimal("12.50"), None)]
    assert sales == [Movement(7, 1, -5)]


def test_a_product_that_is_not_there_is_a_shortage_of_all() -> None:
    """A line's product cannot be deleted; if it ever is, the order fails instead of its worker."""
    outcomes, sales = allocate([1], [item(1, 7, 2)], {})
    assert outcomes[0].failure_reason is not None
    assert outcomes[0].failure_reason["shortages"] == [{"product_id": 7, "requested": 2, "available": 0}]
    assert sales == []


def test_totals_add_up_to_the_cent() -> None:
    """0.10 three times is 0.30; 100 of the largest lines lose nothing."""
    outcomes, _ = allocate([1], [item(1, product, 1, "0.10") for product in (1, 2, 3)], {1: 1, 2: 1, 3: 1})
    assert str(outcomes[0].total_amount) == "0.30"
    lines = [item(1, product, 1_000_000, "9999999999.99") for product in range(100)]
    outcomes, _ = allocate([1], lines, dict.fromkeys(range(100), 1_000_000))
    assert str(outcomes[0].total_amount) == "999999999999000000.00"


def test_nothing_is_changed_in_the_callers_stock() -> None:
    """It is a calculation; the ledger writes."""
    units = {7: 5}
    allocate([1], [item(1, 7, 5)], units)
    assert units == {7: 5}


def test_no_orders_give_no_outcomes() -> None:
    """An empty list is a list."""
    assert allocate([], [], {}) == ([], [])
