"""Cancelling: an order that an operator and a worker get hold of at the same moment."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from orderapp.database import db
from orderapp.errors import ConflictError
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.products import stock as stock_of
from tests.orders.examples import a_task, ledger_is_right, placed, statuses, stock
from tests.sql import sql
from tests.threads import LONGEST, at_once

AProduct = Callable[..., int]

# One more than a settle has statements, and than a cancel has: the last turn comes when the other one is done.
TURNS = {"worker": 12, "operator": 8}

PLACED, CONFIRMED, CANCELLED = "order.placed", "order.confirmed", "order.cancelled"
ENDS = [
    ("cancelled", [PLACED, CANCELLED]),
    ("confirmed", [PLACED, CONFIRMED]),
    ("cancelled", [PLACED, CONFIRMED, CANCELLED]),
]

_ENDS = """
SELECT status, (SELECT array_agg(type ORDER BY sequence) FROM order_events WHERE order_id = orders.id) AS types
FROM orders ORDER BY id
"""


def refused(order_id: int) -> bool:
    """Cancel the order; tell whether that was refused."""
    try:
        cancel_order(order_id, "cli:me")
    except ConflictError:
        return True
    return False


@contextmanager
def from_statement(number: int) -> Iterator[tuple[Callable[[Callable[[], Any]], Any], threading.Event]]:
    """Give what runs a call and rings a bell just before this statement of it (from 0), at the latest after its end."""
    bell, said = threading.Event(), threading.local()

    def hear(*_: Any) -> None:
        if hasattr(said, "count"):
            said.count += 1
            if said.count > number:
                bell.set()

    def run(call: Callable[[], Any]) -> Any:
        said.count = 0
        try:
            return call()
        finally:
            bell.set()

    event.listen(db.engine, "before_cursor_execute", hear)
    try:
        yield run, bell
    finally:
        event.remove(db.engine, "before_cursor_execute", hear)


def race(app: Flask, order_id: int, leader: str, turn: int) -> int:
    """Let a worker settle the order and an operator cancel it twice, from the leader's turn on; returns the refusals."""
    with from_statement(turn) as (lead, bell):

        def follow(call: Callable[[], Any]) -> Any:
            assert bell.wait(LONGEST)
            return call()

        settling, cancelling = (lead, follow) if leader == "worker" else (follow, lead)
        answers = at_once(
            app,
            lambda: settling(lambda: process_orders([order_id], a_task())),
            lambda: cancelling(lambda: refused(order_id)),
            lambda: follow(lambda: refused(order_id)),
        )
    return sum(answers[1:])


def assert_nothing_is_lost_or_doubled(product_id: int, units: int) -> None:
    """See that what stock lacks is what the confirmed orders, of one unit each, took; and that no history has a gap."""
    assert stock(product_id) == units - statuses().count("confirmed")
    assert ledger_is_right()
    gaps = sql("SELECT order_id FROM order_events GROUP BY order_id HAVING max(sequence) <> count(*) OR min(sequence) <> 1")
    assert gaps == []
    unsaid = sql("SELECT id FROM orders WHERE last_sequence <> (SELECT count(*) FROM order_events WHERE order_id = orders.id)")
    assert unsaid == []


@pytest.mark.parametrize("races", [50, pytest.param(500, marks=pytest.mark.proof)])
def test_a_cancel_that_races_the_settle_ends_in_one_final_state(app: Flask, a_product: AProduct, races: int) -> None:
    """From each statement of the worker, and of the operator, on: whoever locks first decides, and stock is exact."""
    lamp = a_product(stock=races)
    schedule = [(leader, turn) for leader, turns in TURNS.items() for turn in range(turns)]
    orders = [placed((lamp, 1)) for _ in range(races)]
    refusals = [race(app, order_id, *schedule[number % len(schedule)]) for number, order_id in enumerate(orders)]

    ends = [(row.status, row.types) for row in sql(_ENDS)]
    assert [end for end in ends if end not in ENDS] == []
    assert [end for end in ENDS if end not in ends] == []
    # Of two cancels one at most goes through: a second would be a second return.
    assert refusals == [2 if status == "confirmed" else 1 for status, _ in ends]
    assert_nothing_is_lost_or_doubled(lamp, races)
    changes = sql("SELECT subject_id AS id FROM audit_log WHERE action = 'cancel' ORDER BY subject_id")
    assert changes == sql("SELECT id FROM orders WHERE status = 'cancelled' ORDER BY id")


def test_the_race_sees_a_return_that_comes_twice(app: Flask, a_product: AProduct, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof that the sums above can fail: one unit too many comes back."""
    lamp = a_product(stock=1)
    monkeypatch.setattr(stock_of, "_APPLY", stock_of.text(str(stock_of._APPLY).replace("stock + ", "stock + 1 + ")))
    race(app, placed((lamp, 1)), "worker", TURNS["worker"])
    with pytest.raises(AssertionError):
        assert_nothing_is_lost_or_doubled(lamp, 1)
