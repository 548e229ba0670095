"""Runs that are cut short: lost claims, leases, attempts, bugs, outages."""

from collections.abc import Callable, Sequence

import pytest
from flask import Flask
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from orderapp.database import writing
from orderapp.orders import events, processing, states
from orderapp.orders.events import OrderEvent
from orderapp.orders.processing import process_orders
from tests.orders.examples import TASK, a_task, died, history, lapse, ledger_is_right, order, placed, sales, statuses, stock
from tests.sql import one, sql
from tests.wire import listening

AProduct = Callable[..., int]

# What the settle transaction says first, and last of all.
LOCK_CLAIMED, FIRST_WRITE, LAST_WRITE = "AS mine(id, attempts)", "INSERT INTO stock_movements", "INSERT INTO order_events"


def sabotage(app: Flask, *order_ids: int, kinds: Sequence[str] = (events.CONFIRMED,)) -> None:
    """Have a listener with a bug that shows for these orders only."""

    def listener(_session: Connection, happened: Sequence[OrderEvent]) -> None:
        if any(event.order_id in order_ids and event.type in kinds for event in happened):
            raise KeyError("a bug")

    events.subscribe(app, listener)


@pytest.mark.parametrize("same_task", [True, False], ids=["the same task id", "another task id"])
def test_a_run_that_lost_its_claim_changes_nothing(a_product: AProduct, same_task: bool) -> None:
    """Its lease ran out and somebody else claimed: the pair (task_id, attempts) no longer fits, even for the same message."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))

    def overtake() -> None:
        statement = "UPDATE orders SET task_id = %(task)s, attempts = 2, lease_until = now() + interval '15 s'"
        sql(statement, task=TASK if same_task else a_task())

    with listening() as wire:
        wire.before(LOCK_CLAIMED, overtake)
        assert process_orders([order_id], TASK) == 0

    row = order(order_id)
    assert (row.status, row.attempts, row.total_amount) == ("processing", 2, None)
    assert (stock(lamp), sales(order_id), history(order_id)) == (10, [], [(1, "order.placed")])


def test_a_run_that_lost_one_of_its_orders_settles_the_others(a_product: AProduct) -> None:
    """The fence holds per order, not per batch."""
    lamp = a_product(stock=10)
    orders = [placed((lamp, 1)) for _ in range(3)]
    with listening() as wire:
        wire.before(LOCK_CLAIMED, lambda: sql("UPDATE orders SET attempts = 2 WHERE id = %(id)s", id=orders[1]))
        assert process_orders(orders, TASK) == 2
    assert statuses() == ["confirmed", "processing", "confirmed"]
    assert stock(lamp) == 8


def test_a_claimed_order_is_left_alone_until_its_lease_runs_out(a_product: AProduct) -> None:
    """A redelivery while the first run is alive (the broker's connection flapped) finds the lease and returns."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        assert [claim.attempts for claim in states.claim_new(session, [order_id], TASK)] == [1]
    row = order(order_id)
    assert (row.status, row.task_id, row.attempts) == ("processing", TASK, 1)
    assert one("SELECT lease_until - clock_timestamp() BETWEEN '14 s' AND '15 s' FROM orders")
    assert one("SELECT rescue_at - lease_until BETWEEN '0 s' AND '1 ms' FROM orders")

    assert [process_orders([order_id], task) for task in (TASK, a_task())] == [0, 0]
    assert order(order_id) == row

    lapse(order_id)
    assert process_orders([order_id], a_task()) == 1


def test_interrupted_orders_run_alone_after_the_new_ones_fewest_attempts_first(a_product: AProduct) -> None:
    """Who brought a worker down twice comes last: whatever it does, the others are settled by then."""
    lamp = a_product(stock=10)
    twice, once, new, newer = (placed((lamp, 1)) for _ in range(4))
    died(twice, attempts=2)
    died(once, attempts=1)

    assert process_orders([twice, once, new, newer], TASK) == 4

    settles = sql("SELECT array_agg(id ORDER BY id) AS ids FROM orders GROUP BY xmin::text ORDER BY min(settled_at)")
    assert [row.ids for row in settles] == [[new, newer], [once], [twice]]
    assert [order(order_id).attempts for order_id in (new, once, twice)] == [1, 2, 3]


def test_the_attempt_is_on_record_before_the_order_runs_alone(a_product: AProduct) -> None:
    """Counted in the run's own transaction, an order that kills its process would kill one after the other for ever."""
    order_id = placed((a_product(), 1))
    died(order_id, attempts=1)
    seen = []
    with listening() as wire:
        wire.before(LOCK_CLAIMED, lambda: seen.append(order(order_id).attempts))
        process_orders([order_id], TASK)
    assert seen == [2]


def test_after_three_attempts_the_claim_itself_fails_the_order(a_product: AProduct) -> None:
    """One run with its batch and two alone; nothing is sold, and the reason says whose fault it was."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 1))
    died(order_id, attempts=3)
    assert process_orders([order_id], TASK) == 1
    row = order(order_id)
    assert (row.status, row.failure_reason) == ("failed", {"code": "processing_error"})
    assert (stock(lamp), sales(order_id)) == (10, [])
    assert history(order_id) == [(1, "order.placed"), (2, "order.failed")]


def test_a_bug_in_one_order_of_a_hundred_fails_only_that_one(app: Flask, a_product: AProduct) -> None:
    """The batch is undone, its orders run alone at once; the bad one fails after its third attempt."""
    lamp = a_product(stock=1000)
    orders = [placed((lamp, 1)) for _ in range(100)]
    bad = orders[41]
    sabotage(app, bad)

    assert process_orders(orders, TASK) == 99
    assert [row.id for row in sql("SELECT id FROM orders WHERE status <> 'confirmed'")] == [bad]
    assert (order(bad).status, order(bad).attempts, stock(lamp)) == ("processing", 2, 901)
    assert {row.attempts for row in sql("SELECT attempts FROM orders")} == {2}

    lapse(bad)
    assert process_orders(orders, a_task()) == 0
    lapse(bad)
    assert process_orders(orders, a_task()) == 1

    assert (order(bad).status, order(bad).failure_reason) == ("failed", {"code": "processing_error"})
    assert (stock(lamp), sales(bad), history(bad)) == (901, [], [(1, "order.placed"), (2, "order.failed")])
    assert one("SELECT count(*) FROM order_events") == 200
    assert ledger_is_right()


def test_an_order_that_cannot_even_fail_does_not_keep_the_others_waiting(app: Flask, a_product: AProduct) -> None:
    """A bug that shows for its failure too: it stays open and visible, the next in line is served."""
    lamp = a_product()
    bad, good = placed((lamp, 1)), placed((lamp, 1))
    died(bad, attempts=3)
    died(good, attempts=4)  # comes after the bad one
    sabotage(app, bad, kinds=(events.CONFIRMED, events.FAILED))
    assert process_orders([bad, good], TASK) == 1
    assert (order(bad).status, order(good).status) == ("processing", "failed")


def test_a_task_that_takes_long_leaves_the_rest_to_the_rescuer(a_product: AProduct, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed by its time limit, it would cost the order in hand an attempt."""
    monkeypatch.setattr(processing, "SOLO_TIME", -1)
    old, new = placed((lamp := a_product(), 1)), placed((lamp, 1))
    died(old)
    assert process_orders([old, new], TASK) == 1
    assert (order(old).status, order(new).status) == ("processing", "confirmed")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03"])
@pytest.mark.parametrize("fragment", [LOCK_CLAIMED, FIRST_WRITE, LAST_WRITE], ids=["first", "middle", "last"])
def test_an_outage_inside_settle_is_outlasted_and_costs_no_attempt(a_product: AProduct, sqlstate: str, fragment: str) -> None:
    """Serialization failure, deadlock, lock timeout: the same claim tries again."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    with listening() as wire:
        wire.fail(fragment, sqlstate)
        assert process_orders([order_id], TASK) == 1
    assert (order(order_id).status, order(order_id).attempts) == ("confirmed", 1)
    assert (stock(lamp), sales(order_id)) == (7, [(lamp, -3)])


@pytest.mark.parametrize("fragment", [LOCK_CLAIMED, FIRST_WRITE, LAST_WRITE], ids=["first", "middle", "last"])
@pytest.mark.parametrize("attempts", [0, 1], ids=["in a batch", "alone"])
def test_a_connection_lost_inside_settle_costs_no_attempt(a_product: AProduct, fragment: str, attempts: int) -> None:
    """PostgreSQL restarts under a settle: what was written is gone with the connection, and written again."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    if attempts:
        died(order_id, attempts=attempts)
    with listening() as wire:
        wire.cut(fragment)
        assert process_orders([order_id], TASK) == 1
    assert (order(order_id).status, order(order_id).attempts) == ("confirmed", attempts + 1)
    assert (stock(lamp), sales(order_id)) == (7, [(lamp, -3)])
    assert history(order_id) == [(1, "order.placed"), (2, "order.confirmed")]


def test_an_outage_during_the_claim_leaves_the_order_unclaimed(a_product: AProduct) -> None:
    """The task waits and runs again; nothing was counted."""
    order_id = placed((a_product(), 1))
    with listening() as wire:
        wire.cut("SET status = 'processing'")
        with pytest.raises(OperationalError):
            process_orders([order_id], TASK)
    assert (order(order_id).status, order(order_id).attempts) == ("pending", 0)


def test_a_lock_held_for_minutes_costs_no_order_its_attempts(a_product: AProduct, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's forgotten transaction on a product is an outage like any other: afterwards the orders are confirmed."""
    monkeypatch.setattr(processing, "PATIENCE", -1)
    lamp = a_product(stock=10)
    orders = [placed((lamp, 1)) for _ in range(2)]
    for _ in range(5):
        with listening() as wire:
            wire.fail("FROM products WHERE id = ANY", "55P03")
            with pytest.raises(OperationalError):
                process_orders(orders, TASK)
        lapse(*orders)
    assert process_orders(orders, TASK) == 2
    assert statuses() == ["confirmed", "confirmed"]
