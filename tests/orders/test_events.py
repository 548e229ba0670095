"""The public history, and who listens to it inside the transaction."""

from collections.abc import Callable, Sequence

import psycopg2
import pytest
from flask import Flask
from sqlalchemy import Connection

from orderapp.database import current_act, writing
from orderapp.orders import events
from orderapp.orders.events import OrderEvent
from orderapp.orders.processing import process_orders
from tests.orders.examples import TASK, history, order, placed
from tests.sql import one, sql

AProduct = Callable[..., int]


def test_a_listener_hears_the_whole_list_inside_the_transaction(app: Flask, a_product: AProduct) -> None:
    """One call for a batch, and what it reads is what will be committed."""
    heard: list[list[tuple[int, int, str]]] = []

    def listener(session: Connection, happened: Sequence[OrderEvent]) -> None:
        assert session is current_act()
        statuses = {row.id: row.status for row in session.exec_driver_sql("SELECT id, status FROM orders")}
        assert all(event.type == f"order.{statuses[event.order_id]}" for event in happened)
        assert one("SELECT count(*) FROM orders WHERE status <> 'processing'") == 0
        heard.append([(event.order_id, event.sequence, event.type) for event in happened])

    lamp = a_product(stock=1)
    orders = [placed((lamp, 1)) for _ in range(2)]
    events.subscribe(app, listener)
    process_orders(orders, TASK)
    assert heard == [[(1, 2, "order.confirmed"), (2, 2, "order.failed")]]


def test_a_listener_hears_of_an_order_that_is_placed(app: Flask, a_product: AProduct) -> None:
    """Alone of its type it is recorded by the statement that stores the order; its id is the stored one."""
    heard: list[OrderEvent] = []
    events.subscribe(app, lambda _session, happened: heard.extend(happened))
    order_id = placed((a_product(), 1))
    stored = one("SELECT id, order_id, sequence, type, data FROM order_events")
    assert [(str(each.id), each.order_id, each.sequence, each.type, each.data) for each in heard] == [tuple(stored)]
    assert heard[0].order_id == order_id


def test_what_a_listener_raises_undoes_everything(app: Flask, a_product: AProduct) -> None:
    """An outcome without its webhook would be half a truth."""

    def listener(_session: Connection, _happened: Sequence[OrderEvent]) -> None:
        raise RuntimeError("full")

    order_id = placed((a_product(), 1))
    events.subscribe(app, listener)
    with pytest.raises(RuntimeError, match="full"), writing() as session:
        events.record(session, [events.new_event(order_id, 2, events.CANCELLED, {})])
    assert history(order_id) == [(1, "order.placed")]


def test_listeners_belong_to_their_application(app: Flask, a_product: AProduct) -> None:
    """A second application in the process hears nothing."""
    heard: list[Sequence[OrderEvent]] = []
    other = Flask("another")
    events.subscribe(other, lambda _session, happened: heard.append(happened))
    process_orders([placed((a_product(), 1))], TASK)
    assert heard == []
    assert app.extensions["order_event_listeners"]


def test_nothing_recorded_is_nothing_said(app: Flask) -> None:
    """No statement and no call for an empty list."""
    heard: list[Sequence[OrderEvent]] = []
    events.subscribe(app, lambda _session, happened: heard.append(happened))
    with writing() as session:
        events.record(session, [])
    assert heard == []


def test_ids_of_events_sort_by_time() -> None:
    """Their index grows at one end."""
    ids = [events.new_event(1, 1, events.PLACED, {}).id for _ in range(100)]
    assert sorted(ids) == ids
    assert len(set(ids)) == 100
    assert {one_id.version for one_id in ids} == {7}


def test_the_database_refuses_a_second_event_of_one_number(a_product: AProduct) -> None:
    """However it came to be: the history has no two seconds."""
    order_id = placed((a_product(), 1))
    statement = "INSERT INTO order_events (id, order_id, sequence, type) VALUES (gen_random_uuid(), %(id)s, 1, 'order.failed')"
    with pytest.raises(psycopg2.errors.UniqueViolation):
        sql(statement, id=order_id)


def test_an_event_can_be_recorded_with_any_text(a_product: AProduct) -> None:
    """Quotes, braces, percent signs and other scripts come back as they were."""
    order_id = placed((a_product(), 1))
    data = {"text": "'\"{}\\%s :name ☕ 日本\n"}
    with writing() as session:
        events.record(session, [events.new_event(order_id, 2, events.CANCELLED, data)])
    assert one("SELECT data FROM order_events WHERE sequence = 2") == data
    assert order(order_id).last_sequence == 1  # counting is the business of states.py
