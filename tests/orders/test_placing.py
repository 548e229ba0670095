"""Placing: an order, its lines, its event and its message exist together or not at all."""

from collections.abc import Callable
from decimal import Decimal
from statistics import median
from time import perf_counter

import pytest

from orderapp.database import writing
from orderapp.errors import InvalidInputError
from orderapp.orders.lines import Line
from orderapp.orders.placing import place_order
from orderapp.products.stock import lock_stock
from tests.orders.examples import ANONYMOUS, history, order, placed
from tests.sql import holding, one, row_counts, sql
from tests.threads import at_once
from tests.wire import listening

AProduct = Callable[..., int]


def test_an_order_is_stored_with_its_lines_its_event_and_its_message(a_product: AProduct) -> None:
    """All that follows from a POST is there when it has been answered."""
    lamp, chair = a_product(price="2.50"), a_product(price="40.00", name="Chair")

    order_id = placed((chair, 1), (lamp, 3), reference="PO-7")

    row = order(order_id)
    assert (row.status, row.total_amount, row.currency, row.reference) == ("pending", None, "USD", "PO-7")
    assert (row.client_id, row.attempts, row.task_id, row.lease_until, row.webhook_sent) == (ANONYMOUS, 0, None, None, False)
    assert sql("SELECT product_id, quantity, unit_price FROM order_items ORDER BY id") == [
        (lamp, 3, Decimal("2.50")),
        (chair, 1, Decimal("40.00")),
    ]
    assert history(order_id) == [(1, "order.placed")]
    assert sql("SELECT queue, task, subject_id, args, headers, parked_at FROM outbox") == [
        ("orders", "orders.process", order_id, [], {}, None)
    ]


def test_the_message_is_due_at_once_and_the_rescue_half_a_minute_later(a_product: AProduct) -> None:
    """The relay takes the message now; the rescuer looks only if that went wrong."""
    placed((a_product(), 1))
    assert one("SELECT available_at <= clock_timestamp() FROM outbox")
    assert one("SELECT rescue_at - created_at BETWEEN '29.9 s' AND '30.1 s' FROM orders")


def test_what_is_returned_is_what_a_reader_would_find(a_product: AProduct) -> None:
    """The answer to a POST comes from the one statement, not from a second look."""
    lamp = a_product(price="2.50")
    view = place_order(ANONYMOUS, [Line(lamp, 2)], currency="EUR", reference=None)
    assert (view.id, view.status, view.total_amount, view.currency, view.webhook_sent) == (1, "pending", None, "EUR", False)
    item = view.items[0]
    assert (item.id, item.product, item.product_id, item.quantity, item.unit_price) == (1, "Lamp", lamp, 2, Decimal("2.50"))
    assert view.created_at == one("SELECT created_at FROM orders")


def test_two_lines_of_one_product_become_one(a_product: AProduct) -> None:
    """The schema allows a product once per order, and the client need not know."""
    lamp, chair = a_product(), a_product()
    placed((lamp, 2), (chair, 1), (lamp, 3))
    assert sql("SELECT product_id, quantity FROM order_items ORDER BY id") == [(lamp, 5), (chair, 1)]


def test_lines_may_add_up_to_the_limit_and_not_above(a_product: AProduct) -> None:
    """A million units of one product is the most, on however many lines."""
    lamp = a_product()
    placed((lamp, 999_999), (lamp, 1))
    with pytest.raises(InvalidInputError) as refusal:
        placed((lamp, 999_999), (lamp, 1), (lamp, 1))
    assert [pointer for pointer, _ in refusal.value.faults] == ["/items/2/quantity"]
    assert one("SELECT count(*) FROM orders") == 1


def test_an_unknown_and_an_archived_product_are_each_named_and_nothing_is_stored(a_product: AProduct) -> None:
    """A plain join would have dropped these lines and sold the rest."""
    lamp, old = a_product(), a_product(name="Old lamp")
    sql("UPDATE products SET archived_at = now() WHERE id = %(id)s", id=old)
    before = row_counts()

    with pytest.raises(InvalidInputError) as refusal:
        placed((lamp, 1), (old, 1), (999, 1), (old, 2))

    assert [pointer for pointer, _ in refusal.value.faults] == [f"/items/{index}/product_id" for index in (1, 2, 3)]
    assert row_counts() == before


def test_a_product_restored_between_refusal_and_explanation_asks_to_try_again(a_product: AProduct) -> None:
    """The explanation is a second statement; by then nothing may be wrong any more."""
    lamp = a_product()
    sql("UPDATE products SET archived_at = now()")
    with listening() as wire:
        wire.before("SELECT id FROM products", lambda: sql("UPDATE products SET archived_at = NULL"))
        with pytest.raises(InvalidInputError) as refusal:
            placed((lamp, 1))
    assert [pointer for pointer, _ in refusal.value.faults] == ["/items"]
    assert one("SELECT count(*) FROM orders") == 0


def test_orders_of_crossing_products_are_placed_at_once(app: object, a_product: AProduct) -> None:
    """Whatever order the clients name the products in, nobody deadlocks."""
    lamp, chair = a_product(), a_product()
    calls = [lambda: placed((lamp, 1), (chair, 1)), lambda: placed((chair, 1), (lamp, 1))] * 4
    assert sorted(at_once(app, *calls)) == list(range(1, 9))


def test_a_product_that_a_settle_holds_locked_can_be_ordered_within_50_ms(a_product: AProduct, app: object) -> None:
    """The settle locks FOR NO KEY UPDATE, which the foreign key of a new line does not wait for."""
    lamp = a_product()
    placed((lamp, 1))  # the first one opens the connection
    times = []

    def place() -> int:
        began = perf_counter()
        order_id = placed((lamp, 1))
        times.append(perf_counter() - began)
        return order_id

    with writing() as session:
        assert lock_stock(session, [lamp]) == {lamp: 10}
        for _ in range(9):
            at_once(app, place)

    assert median(times) < 0.05
    assert one("SELECT count(*) FROM orders") == 10


def test_a_product_whose_stock_is_being_changed_can_be_ordered(a_product: AProduct) -> None:
    """Between a settle's UPDATE and its commit, too; a lock of the key itself would make this wait for lock_timeout."""
    lamp = a_product()
    with holding("UPDATE products SET stock = stock - 1 WHERE id = %(id)s", id=lamp):
        began = perf_counter()
        placed((lamp, 1))
        assert perf_counter() - began < 1
