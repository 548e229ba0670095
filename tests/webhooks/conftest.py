"""A receiver, the endpoint that points to it, and orders that have something to tell."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Row, text

from orderapp.database import db, writing
from orderapp.orders.events import OrderEvent
from orderapp.orders.placing import Line, place_order
from orderapp.orders.processing import process_orders
from orderapp.webhooks.endpoint import Endpoint, Receivers
from orderapp.webhooks.fan_out import fan_out

from . import SECRET
from .receivers import RecordingReceiver

Sql = Callable[..., list[Row[Any]]]
Factory = Callable[..., int]
Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def receiver() -> Iterator[RecordingReceiver]:
    """Start a stranger's server on loopback."""
    with RecordingReceiver() as server:
        yield server


@pytest.fixture
def endpoint(receiver: RecordingReceiver) -> Endpoint:
    """Return the receiver as our endpoint; its address is allowed."""
    return Endpoint(f"http://{receiver.address}/hook", SECRET, frozenset({receiver.address}))


@pytest.fixture
def receivers(endpoint: Endpoint) -> Receivers:
    """Return the receiver as the built-in endpoint; others may be on its address, too."""
    return Receivers(endpoint, endpoint.allowed_hosts)


@pytest.fixture
def sql(app: Flask) -> Sql:
    """Return a way to look and to meddle: one statement on a connection of its own, committed."""
    with app.app_context():
        engine = db.engine

    def run(statement: str, **values: Any) -> list[Row[Any]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

    return run


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Return what gives the lines of the webhooks room's log so far, as the fields they carry."""
    room = "orderapp.webhooks."
    return lambda: [record.msg for record in caplog.records if record.name.startswith(room) and isinstance(record.msg, dict)]


@pytest.fixture
def an_order(sql: Sql, a_product: Factory) -> Factory:
    """Return a maker of settled orders whose outcome nobody has been told yet; ``quantity`` above 3 makes it fail."""

    def make(quantity: int = 2) -> int:
        order = place_order(1, [Line(a_product(stock=3), quantity)], currency="USD", reference="PO-1")
        assert process_orders([order.id], task_id=str(uuid4())) == 1
        sql("DELETE FROM webhook_deliveries WHERE order_id = :id", id=order.id)
        sql("DELETE FROM outbox")
        return order.id

    return make


@pytest.fixture
def a_delivery(an_order: Factory, sql: Sql) -> Factory:
    """Return a maker of deliveries that are due, each with its message in the outbox."""

    def make(quantity: int = 2) -> int:
        order_id = an_order(quantity)
        tell(latest_event(sql, order_id))
        return sql("SELECT id FROM webhook_deliveries WHERE order_id = :id", id=order_id)[0].id

    return make


def latest_event(sql: Sql, order_id: int) -> OrderEvent:
    """Return the order's last event as it was recorded."""
    row = sql("SELECT * FROM order_events WHERE order_id = :id ORDER BY sequence DESC LIMIT 1", id=order_id)[0]
    return OrderEvent(UUID(str(row.id)), row.order_id, row.sequence, row.type, row.data)


def tell(*events: OrderEvent) -> None:
    """Fan events out, as the settling transaction does."""
    with writing() as session:
        fan_out(session, events, enabled=True)
