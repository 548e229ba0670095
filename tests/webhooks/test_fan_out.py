"""From an order's event to its deliveries, inside the settling transaction."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event

from orderapp.database import db, writing
from orderapp.orders.events import CANCELLED, CONFIRMED, FAILED, PLACED, REOPENED, OrderEvent, subscribe
from orderapp.orders.placing import Line, place_order
from orderapp.orders.processing import process_orders
from orderapp.webhooks.fan_out import fan_out

from .conftest import Factory, Sql, latest_event, tell


def test_each_final_event_gets_a_delivery_that_is_due_and_a_message(an_order: Factory, sql: Sql) -> None:
    """Confirmed and failed orders both notify; each delivery can be rescued 30 s later."""
    orders = [an_order(quantity=2), an_order(quantity=4)]
    tell(*(latest_event(sql, order_id) for order_id in orders))
    rows = sql(
        "SELECT d.*, e.type, d.due_at <= clock_timestamp() AS due, extract(epoch FROM d.rescue_at - d.due_at) AS grace"
        " FROM webhook_deliveries d JOIN order_events e ON e.id = d.event_id ORDER BY d.id"
    )
    assert [(row.order_id, row.type, row.state, row.attempt) for row in rows] == [
        (orders[0], CONFIRMED, "pending", 0),
        (orders[1], FAILED, "pending", 0),
    ]
    assert all(row.due and row.lease_until is None and row.grace == pytest.approx(30, abs=0.1) for row in rows)
    messages = sql("SELECT task, queue, subject_id FROM outbox ORDER BY subject_id")
    assert [tuple(message) for message in messages] == [("webhooks.deliver", "webhooks", row.id) for row in rows]


def test_a_hundred_events_take_two_statements(app: Flask, an_order: Factory, sql: Sql) -> None:
    """A settle batch pays for webhooks once, not per order."""
    events = [latest_event(sql, an_order()) for _ in range(5)]
    statements: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_rest: statements.append(statement))
    tell(*events)
    assert [statement.split()[2] for statement in statements if "INSERT" in statement] == ["webhook_deliveries", "outbox"]
    assert len(statements) == 2


@pytest.mark.parametrize("kind", [PLACED, REOPENED])
def test_other_events_notify_nobody(an_order: Factory, sql: Sql, kind: str) -> None:
    """A receiver hears of outcomes only."""
    tell(OrderEvent(uuid4(), an_order(), 9, kind, {}))
    assert sql("SELECT 1 FROM webhook_deliveries") == []


def test_a_cancelled_order_notifies(an_order: Factory, sql: Sql) -> None:
    """A cancellation is an outcome, too."""
    order_id = an_order()
    cancelled = OrderEvent(uuid4(), order_id, 3, CANCELLED, {})
    sql("INSERT INTO order_events (id, order_id, sequence, type) VALUES (:id, :order, 3, :type)",
        id=str(cancelled.id), order=order_id, type=CANCELLED)  # fmt: skip
    tell(cancelled)
    assert len(sql("SELECT 1 FROM webhook_deliveries")) == 1


def test_without_an_endpoint_nothing_is_written(an_order: Factory, sql: Sql) -> None:
    """No delivery that could never be sent, no message about it."""
    event_of_order = latest_event(sql, an_order())
    with writing() as session:
        fan_out(session, [event_of_order], enabled=False)
    assert sql("SELECT 1 FROM webhook_deliveries") == []
    assert sql("SELECT 1 FROM outbox") == []


def test_an_order_that_did_not_settle_notifies_nobody(
    app: Flask, a_product: Factory, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries and outcome commit together: when something after the fan-out fails, neither is there."""

    def fail(*_args: object) -> None:
        raise RuntimeError("after the fan-out")

    order = place_order(1, [Line(a_product(stock=3), 1)], currency="USD")
    monkeypatch.setitem(app.extensions, "order_event_listeners", [])
    subscribe(app, lambda session, events: fan_out(session, events, enabled=True))
    subscribe(app, fail)
    process_orders([order.id], task_id=str(uuid4()))
    assert sql("SELECT status FROM orders")[0].status == "processing"
    assert sql("SELECT 1 FROM webhook_deliveries") == []
    assert sql("SELECT 1 FROM outbox WHERE task = 'webhooks.deliver'") == []
