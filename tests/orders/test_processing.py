"""Processing: each order is settled once, whoever is asked to do it and how often."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from flask import Flask

from orderapp.orders.processing import process_orders
from tests.orders.examples import a_task, died, history, ledger_is_right, order, placed, sales, statuses, stock
from tests.sql import one, sql
from tests.threads import at_once

AProduct = Callable[..., int]


def test_an_order_is_confirmed_and_its_stock_deducted(a_product: AProduct) -> None:
    """Stock, ledger, total, status and event, all in one."""
    lamp, chair = a_product(stock=10, price="2.50"), a_product(stock=4, price="40.00")
    order_id, task = placed((lamp, 3), (chair, 4)), a_task()

    assert process_orders([order_id], task) == 1

    row = order(order_id)
    assert (row.status, row.total_amount, row.failure_reason) == ("confirmed", Decimal("167.50"), None)
    assert (row.task_id, row.attempts, row.lease_until, row.rescue_at) == (task, 1, None, None)
    assert row.settled_at >= row.created_at
    assert (stock(lamp), stock(chair)) == (7, 0)
    assert sales(order_id) == [(lamp, -3), (chair, -4)]
    assert history(order_id) == [(1, "order.placed"), (2, "order.confirmed")]
    assert one("SELECT data FROM order_events WHERE sequence = 2") == {"total_amount": "167.50"}


def test_an_order_that_falls_short_fails_whole_and_names_every_shortage(a_product: AProduct) -> None:
    """{A: 1, B: too many, C: too many}: A keeps its stock, B and C are both named."""
    a, b, c = a_product(stock=5), a_product(stock=2), a_product(stock=0)
    order_id = placed((a, 1), (b, 3), (c, 1))

    assert process_orders([order_id], a_task()) == 1

    row = order(order_id)
    assert (row.status, row.total_amount) == ("failed", None)
    assert row.failure_reason == {
        "code": "insufficient_stock",
        "shortages": [
            {"product_id": b, "requested": 3, "available": 2},
            {"product_id": c, "requested": 1, "available": 0},
        ],
    }
    assert [stock(product) for product in (a, b, c)] == [5, 2, 0]
    assert sales(order_id) == []
    assert history(order_id) == [(1, "order.placed"), (2, "order.failed")]
    assert one("SELECT data FROM order_events WHERE sequence = 2") == {"failure_reason": row.failure_reason}


def test_lines_of_one_product_are_judged_together(a_product: AProduct) -> None:
    """2 + 2 of 3 fall short, although each line alone would fit."""
    lamp = a_product(stock=3)
    order_id = placed((lamp, 2), (lamp, 2))
    process_orders([order_id], a_task())
    assert order(order_id).failure_reason["shortages"] == [{"product_id": lamp, "requested": 4, "available": 3}]


def test_the_quoted_price_stands_when_the_product_became_dearer(a_product: AProduct) -> None:
    """What the client was told at the POST is what is charged."""
    lamp = a_product(price="2.50")
    order_id = placed((lamp, 2))
    sql("UPDATE products SET price = 99, archived_at = now()")
    process_orders([order_id], a_task())
    assert order(order_id).total_amount == Decimal("5.00")


def test_a_batch_serves_orders_in_their_order_until_the_stock_is_gone(a_product: AProduct) -> None:
    """A large order that falls short leaves its units to the next, smaller one."""
    lamp = a_product(stock=5)
    orders = [placed((lamp, quantity)) for quantity in (2, 4, 3, 1)]
    assert process_orders(orders[::-1], a_task()) == 4
    assert statuses() == ["confirmed", "failed", "confirmed", "failed"]
    assert stock(lamp) == 0
    assert ledger_is_right()


def test_a_total_at_the_limits_is_exact(a_product: AProduct) -> None:
    """100 lines of a million of the dearest product there can be: numeric(22,2) holds it to the cent."""
    dearest = [a_product(stock=1_000_000, price="9999999999.99") for _ in range(100)]
    order_id = placed(*((product, 1_000_000) for product in dearest))
    process_orders([order_id], a_task())
    assert order(order_id).total_amount == Decimal("999999999999000000.00")
    assert one("SELECT data FROM order_events WHERE sequence = 2") == {"total_amount": "999999999999000000.00"}


def test_an_order_of_free_things_costs_nothing(a_product: AProduct) -> None:
    """Zero is a price, and its total has two decimals like any other."""
    order_id = placed((a_product(price="0"), 2))
    process_orders([order_id], a_task())
    assert str(order(order_id).total_amount) == "0.00"
    assert one("SELECT data FROM order_events WHERE sequence = 2") == {"total_amount": "0.00"}


def test_orders_that_do_not_exist_are_passed_over(a_product: AProduct) -> None:
    """A restored backup may have forgotten what a message names."""
    order_id = placed((a_product(), 1))
    assert process_orders([order_id, 4711], a_task()) == 1
    assert process_orders([4711], a_task()) == 0


@pytest.mark.parametrize("tasks", [1, 5], ids=["one task id", "five task ids"])
def test_one_message_delivered_five_times_in_a_row_has_its_effects_once(a_product: AProduct, tasks: int) -> None:
    """Before settling once, after it four times."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    ids = [a_task() for _ in range(tasks)]
    assert [process_orders([order_id], ids[run % tasks]) for run in range(5)] == [1, 0, 0, 0, 0]
    assert_settled_once(order_id, lamp)
    assert order(order_id).task_id == ids[0]


@pytest.mark.parametrize("tasks", [1, 5], ids=["one task id", "five task ids"])
def test_one_message_delivered_to_five_workers_at_once_has_its_effects_once(
    app: Flask, a_product: AProduct, tasks: int
) -> None:
    """Whoever claims first settles; the others find a lease or a final state. Then five more, after settling."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    ids = [a_task() for _ in range(tasks)]
    calls = [lambda task=ids[run % tasks]: process_orders([order_id], task) for run in range(5)]
    assert sum(at_once(app, *calls)) == 1
    assert sum(at_once(app, *calls)) == 0
    assert_settled_once(order_id, lamp)


@pytest.mark.parametrize("tasks", [1, 5], ids=["one task id", "five task ids"])
def test_an_interrupted_order_that_five_workers_take_up_at_once_is_settled_once(
    app: Flask, a_product: AProduct, tasks: int
) -> None:
    """The second claim is a race as well; the lock of the order decides it."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    died(order_id)
    ids = [a_task() for _ in range(tasks)]
    calls = [lambda task=ids[run % tasks]: process_orders([order_id], task) for run in range(5)]
    assert sum(at_once(app, *calls)) == 1
    assert_settled_once(order_id, lamp)
    assert order(order_id).attempts == 2


def test_two_workers_cannot_sell_the_last_item_twice(app: Flask, a_product: AProduct) -> None:
    """Two orders, two workers, one lamp: one is confirmed, the other hears that none was left."""
    for _ in range(5):
        lamp = a_product(stock=1)
        first, second = placed((lamp, 1)), placed((lamp, 1))
        calls = [lambda one=order_id: process_orders([one], a_task()) for order_id in (first, second)]
        assert at_once(app, *calls) == [1, 1]
        assert sorted([order(first).status, order(second).status]) == ["confirmed", "failed"]
        assert stock(lamp) == 0
    assert ledger_is_right()


def test_workers_with_crossing_products_do_not_deadlock(app: Flask, a_product: AProduct) -> None:
    """Products are locked in id order, whatever order the batches name them in."""
    products = [a_product(stock=1000) for _ in range(6)]
    batches = []
    for turn in range(8):
        turned = products[turn % 6 :] + products[: turn % 6]
        batches.append([placed(*((product, 1) for product in turned[::-1])) for _ in range(5)])
    calls = [lambda batch=batch: process_orders(batch, a_task()) for batch in batches]
    assert at_once(app, *calls) == [5] * 8
    assert set(statuses()) == {"confirmed"}
    assert {order(order_id).attempts for order_id in range(1, 41)} == {1}
    assert [stock(product) for product in products] == [960] * 6


def test_overlapping_batches_settle_each_order_once(app: Flask, a_product: AProduct) -> None:
    """A rescue's batch and the first one share ids; neither waits for the other for long, neither doubles anything."""
    lamp = a_product(stock=100)
    orders = [placed((lamp, 1)) for _ in range(20)]
    batches = [orders, orders[::-1], orders[5:], orders[:15]]
    calls = [lambda batch=batch: process_orders(batch, a_task()) for batch in batches]
    assert sum(at_once(app, *calls)) == 20
    assert stock(lamp) == 80
    assert ledger_is_right()


def assert_settled_once(order_id: int, product_id: int) -> None:
    """One deduction of 3 from 10, one event of each kind."""
    assert stock(product_id) == 7
    assert sales(order_id) == [(product_id, -3)]
    assert history(order_id) == [(1, "order.placed"), (2, "order.confirmed")]
    assert ledger_is_right()
