"""Rescuing: an open order that nobody is at gets a new message, ever more rarely."""

from collections.abc import Callable

import pytest
from flask import Flask

from orderapp.database import writing
from orderapp.orders import rescuing, states
from orderapp.orders.processing import process_orders
from orderapp.orders.rescuing import rescue_orders
from tests.orders.examples import TASK, a_task, died, order, placed, statuses
from tests.servers.waiting import wait_until
from tests.sql import holding, one, sql
from tests.threads import at_once

AProduct = Callable[..., int]


def overdue(*order_ids: int) -> None:
    """Let the rescue of these orders be due, as when half a minute has passed."""
    sql("UPDATE orders SET rescue_at = clock_timestamp() WHERE id = ANY(%(ids)s)", ids=list(order_ids))


def messages() -> list[int]:
    """Return the orders that the outbox names, and empty it: a broker lost them."""
    return sorted(row.subject_id for row in sql("DELETE FROM outbox WHERE task = 'orders.process' RETURNING subject_id"))


def test_an_order_is_left_alone_until_its_rescue_is_due(a_product: AProduct) -> None:
    """A healthy pipeline settles in a fraction of half a minute."""
    order_id = placed((a_product(), 1))
    assert messages() == [order_id]
    assert rescue_orders() == 0
    overdue(order_id)
    assert rescue_orders() == 1
    assert messages() == [order_id]


def test_a_claimed_order_is_left_alone_until_its_lease_runs_out(a_product: AProduct) -> None:
    """Due or not: somebody is at it."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        states.claim_new(session, [order_id], TASK)
    overdue(order_id)
    assert rescue_orders() == 0
    died(order_id)
    assert rescue_orders() == 1


def test_final_orders_are_never_rescued(a_product: AProduct) -> None:
    """However long ago."""
    lamp = a_product(stock=1)
    orders = [placed((lamp, 1)), placed((lamp, 1)), placed((lamp, 1))]
    process_orders(orders[:2], a_task())
    with writing() as session:
        states.cancel(session, orders[2])
    overdue(*orders)
    assert statuses() == ["confirmed", "failed", "cancelled"]
    assert rescue_orders() == 0


def test_the_wait_doubles_with_each_rescue_up_to_about_an_hour(a_product: AProduct) -> None:
    """In a healthy long backlog an order costs a few ids, not one every half minute."""
    order_id = placed((a_product(), 1))
    waits = []
    for _ in range(10):
        overdue(order_id)
        assert rescue_orders() == 1
        waits.append(round(one("SELECT extract(epoch FROM rescue_at - clock_timestamp()) FROM orders")))
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3840, 3840, 3840]


def test_a_claim_starts_the_waits_anew(a_product: AProduct) -> None:
    """It got through to a worker; if that one dies, the order should not wait for an hour."""
    order_id = placed((a_product(), 1))
    for _ in range(5):
        overdue(order_id)
        rescue_orders()
    with writing() as session:
        states.claim_new(session, [order_id], TASK)
    died(order_id)
    rescue_orders()
    assert one("SELECT rescue_at < clock_timestamp() + interval '31 s' FROM orders")


def test_a_rescued_order_is_settled_once_even_when_the_first_message_comes_after_all(a_product: AProduct) -> None:
    """Two wake-ups of one order."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 1))
    overdue(order_id)
    rescue_orders()
    assert messages() == [order_id, order_id]
    assert [process_orders([order_id], a_task()) for _ in range(2)] == [1, 0]


def test_a_thousand_at_a_time_the_longest_overdue_first(a_product: AProduct, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole backlog does not come back in one transaction."""
    monkeypatch.setattr(rescuing, "BATCH", 2)
    lamp = a_product()
    orders = [placed((lamp, 1)) for _ in range(5)]
    for order_id in (orders[3], orders[1], orders[4], orders[0]):
        overdue(order_id)
    messages()
    assert [rescue_orders() for _ in range(3)] == [2, 2, 0]
    assert one("SELECT array_agg(subject_id ORDER BY id) FROM outbox") == [orders[1], orders[3], orders[0], orders[4]]


def test_an_order_that_somebody_holds_locked_is_passed_over(a_product: AProduct) -> None:
    """A settle in its last millisecond does not hold up the rescue of all others."""
    lamp = a_product()
    locked, free = placed((lamp, 1)), placed((lamp, 1))
    overdue(locked, free)
    messages()
    with holding("SELECT id FROM orders WHERE id = %(id)s FOR NO KEY UPDATE", id=locked):
        assert rescue_orders() == 1
    assert messages() == [free]


def test_two_rescuers_at_once_write_one_message(app: Flask, a_product: AProduct) -> None:
    """Two beats, or one tick delivered twice: the second finds the lock taken, or nothing due any more."""
    orders = [placed((a_product(), 1)) for _ in range(3)]
    overdue(*orders)
    messages()
    assert sum(at_once(app, *[rescue_orders] * 5)) == 3
    assert messages() == orders
    assert order(orders[0]).rescues == 1
    with holding("SELECT pg_advisory_xact_lock(hashtext('orders.rescue'))"):
        overdue(*orders)
        assert rescue_orders() == 0
    # The server lets the lock go a moment after its connection was closed.
    assert wait_until(rescue_orders, 10, "the lock to be free") == 3
