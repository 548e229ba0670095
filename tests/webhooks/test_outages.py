"""A receiver that is away for a day, and receivers that come back at the same instant: everything arrives, by itself."""

from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from threading import Barrier

from flask import Flask

from orderapp.webhooks import registering
from orderapp.webhooks.drafts import Draft
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.rescuing import rescue_deliveries
from orderapp.webhooks.sending import deliver

from .conftest import Factory, Sql, latest_event, tell
from .receivers import RecordingReceiver, answering

# The past moves instead of the clock: what was due in so long is due so much sooner.
PASS = """
UPDATE webhook_deliveries SET due_at = due_at - CAST(:time AS interval), rescue_at = rescue_at - CAST(:time AS interval);
UPDATE webhook_endpoints
    SET open_until = open_until - CAST(:time AS interval), failing_since = failing_since - CAST(:time AS interval);
UPDATE outbox SET available_at = available_at - CAST(:time AS interval)
"""


def relay_and_work(sql: Sql, receivers: Receivers) -> None:
    """Do what rescuer, relay and worker do with what is due, until nothing is."""
    rescue_deliveries()
    while rows := sql("DELETE FROM outbox WHERE available_at <= clock_timestamp() RETURNING subject_id"):
        ids = sorted({row.subject_id for row in rows})
        for start in range(0, len(ids), 20):
            deliver(ids[start : start + 20], receivers)


def test_a_receiver_that_was_down_for_thirty_hours_gets_everything(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """No operator does anything; nothing is exhausted on the way, and few attempts are wasted on a dead receiver."""
    ids = [a_delivery() for _ in range(30)]
    receiver.behave = answering(503)
    for _ in range(180):
        relay_and_work(sql, receivers)
        sql(PASS, time="10 minutes")
    down = len(receiver.requests)
    assert down < 30 * 8
    assert sql("SELECT DISTINCT state FROM webhook_deliveries") == [("pending",)]
    receiver.behave = answering(200)
    for _ in range(30):
        relay_and_work(sql, receivers)
        sql(PASS, time="1 hour")
    assert [tuple(row) for row in sql("SELECT DISTINCT d.state, o.webhook_sent FROM webhook_deliveries d"
        " JOIN orders o ON o.id = d.order_id")] == [("succeeded", True)]  # fmt: skip
    assert len(receiver.requests) - down == len(ids)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(ids)


def test_two_endpoints_that_succeed_at_the_same_instant_make_the_order_told(
    app: Flask, an_order: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """Each record sees its own success; without the order's lock none would see both. Twenty orders, each a race."""
    for path in ("/first", "/second"):
        registering.create_endpoint(Draft(f"http://{receiver.address}{path}"), None, receivers.allowed_hosts, "Alice")
    together = Barrier(2)

    def at_once(handler: BaseHTTPRequestHandler) -> None:
        together.wait(10)
        answering(200)(handler)

    def send(delivery_id: int) -> int:
        with app.app_context():
            return deliver([delivery_id], Receivers(None, receivers.allowed_hosts))

    receiver.behave = at_once
    orders = [an_order() for _ in range(20)]
    with ThreadPoolExecutor(2) as pool:
        for order_id in orders:
            sql("DELETE FROM webhook_deliveries")
            sql("DELETE FROM outbox")
            _tell_two(sql, order_id)
            ids = [row.id for row in sql("SELECT id FROM webhook_deliveries WHERE endpoint_id > 1 ORDER BY id")]
            assert list(pool.map(send, ids)) == [1, 1]
            assert sql("SELECT webhook_sent FROM orders WHERE id = :id", id=order_id)[0].webhook_sent is True
            sql("DELETE FROM webhook_attempts")


def _tell_two(sql: Sql, order_id: int) -> None:
    tell(latest_event(sql, order_id))
    sql("DELETE FROM webhook_deliveries WHERE endpoint_id = 1")


def test_one_of_two_endpoints_is_not_enough(
    an_order: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """An order is told when everybody is told, and not before."""
    registering.create_endpoint(Draft(f"http://{receiver.address}/x"), None, receivers.allowed_hosts, "Alice")
    order_id = an_order()
    tell(latest_event(sql, order_id))
    ids = [row.id for row in sql("SELECT id FROM webhook_deliveries ORDER BY id")]
    told: list[bool] = []

    def ask() -> bool:
        return bool(sql("SELECT webhook_sent FROM orders WHERE id = :id", id=order_id)[0].webhook_sent)

    for delivery_id in ids:
        told.append(ask())
        deliver([delivery_id], receivers)
    assert [*told, ask()] == [False, False, True]
