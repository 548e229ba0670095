"""Sending: what the receiver gets, and what is true afterwards."""

from datetime import timedelta

import orjson
import pytest
from flask import Flask
from sqlalchemy import Row
from standardwebhooks.webhooks import Webhook

from config import VERSION
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.retries import LAST_ATTEMPT
from orderapp.webhooks.sending import deliver

from . import SECRET
from .conftest import Factory, Logged, Sql, latest_event
from .receivers import Behaviour, RecordingReceiver, answering, hanging_up, in_turn


def the_delivery(sql: Sql) -> Row:
    """Return the only delivery, with what matters about its times."""
    rows = sql(
        "SELECT d.*, d.due_at - clock_timestamp() AS wait, d.rescue_at - d.due_at AS grace, o.webhook_sent"
        " FROM webhook_deliveries d JOIN orders o ON o.id = d.order_id"
    )
    assert len(rows) == 1
    return rows[0]


def make_due(sql: Sql) -> None:
    """Let the pause before the next attempt be over."""
    sql("UPDATE webhook_deliveries SET due_at = clock_timestamp() - interval '1 second' WHERE state = 'pending'")


def test_the_receiver_can_verify_the_signature_with_the_library(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers
) -> None:
    """Standard Webhooks headers over exactly the bytes that were sent."""
    assert deliver([a_delivery()], receivers) == 1
    (request,) = receiver.requests
    Webhook(SECRET).verify(request.body, dict(request.headers.items()))


def test_the_headers_say_what_it_is_and_who_sends_it(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """JSON, our name with its version, and the event's id as the webhook's id."""
    deliver([a_delivery()], receivers)
    headers = receiver.requests[0].headers
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == f"orderapp/{VERSION}"
    assert headers["webhook-id"] == str(the_delivery(sql).event_id)


def test_the_body_is_the_event_with_its_order_as_get_shows_it(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """Same shape, same words for money and time; whether the webhook was sent could not be known in it."""
    delivery_id = a_delivery(quantity=2)
    order_id = sql("SELECT order_id FROM webhook_deliveries WHERE id = :id", id=delivery_id)[0].order_id
    shown = app.test_client().get(f"/api/orders/{order_id}/").get_json()
    deliver([delivery_id], receivers)
    event = latest_event(sql, order_id)
    occurred_at = sql("SELECT occurred_at AT TIME ZONE 'UTC' AS at FROM order_events WHERE id = :id", id=str(event.id))[0].at
    assert orjson.loads(receiver.requests[0].body) == {
        "id": str(event.id),
        "type": "order.confirmed",
        "timestamp": occurred_at.isoformat() + "Z",
        "data": shown,
        "sequence": 2,
    }
    assert shown["status"] == "confirmed"
    assert shown["total_amount"] is not None
    assert shown["webhook_sent"] is False


def test_a_failed_order_notifies_with_its_reason(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers
) -> None:
    """All shortages reach the receiver."""
    deliver([a_delivery(quantity=4)], receivers)
    body = orjson.loads(receiver.requests[0].body)
    assert body["type"] == "order.failed"
    assert body["data"]["status"] == "failed"
    assert body["data"]["failure_reason"]["code"] == "insufficient_stock"
    assert body["data"]["failure_reason"]["shortages"][0]["requested"] == 4


def test_a_received_webhook_is_succeeded_and_the_order_says_so(a_delivery: Factory, receivers: Receivers, sql: Sql) -> None:
    """The attempt is kept, nothing is due any more."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    deliver([delivery_id], receivers)
    delivery = the_delivery(sql)
    assert (delivery.state, delivery.attempt, delivery.lease_until, delivery.webhook_sent) == ("succeeded", 1, None, True)
    assert delivery.finished_at is not None
    (attempt,) = sql("SELECT * FROM webhook_attempts")
    assert (attempt.delivery_id, attempt.attempt, attempt.status_code, attempt.error) == (delivery_id, 1, 200, None)
    assert sql("SELECT 1 FROM outbox") == []


@pytest.mark.parametrize("behave", [answering(500), answering(302, location="/x"), answering(404), hanging_up])
def test_a_failed_attempt_comes_again_later(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql, behave: Behaviour
) -> None:
    """Due by the schedule, with one message that is available exactly then, and a rescue 30 s behind it."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    receiver.behave = behave
    assert deliver([delivery_id], receivers) == 0
    delivery = the_delivery(sql)
    assert (delivery.state, delivery.attempt, delivery.lease_until, delivery.webhook_sent) == ("pending", 1, None, False)
    assert timedelta(seconds=4) < delivery.wait <= timedelta(seconds=5.5)
    assert delivery.grace == pytest.approx(timedelta(seconds=30), abs=timedelta(seconds=0.1))
    (message,) = sql("SELECT subject_id, available_at FROM outbox")
    assert tuple(message) == (delivery_id, delivery.due_at)
    assert sql("SELECT error FROM webhook_attempts")[0].error


def test_the_next_attempt_says_the_same_under_the_same_id(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """A receiver that keeps webhook-ids sees one event, byte for byte."""
    delivery_id = a_delivery()
    receiver.behave = in_turn(answering(503), answering(200))
    deliver([delivery_id], receivers)
    make_due(sql)
    assert deliver([delivery_id], receivers) == 1
    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert [row.attempt for row in sql("SELECT attempt FROM webhook_attempts ORDER BY attempt")] == [1, 2]


def test_ten_failures_exhaust_it_loudly(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql, logged: Logged
) -> None:
    """Then it is visible and quiet: no message is left, the log has an error, the order still says not sent."""
    delivery_id = a_delivery()
    receiver.behave = answering(500)
    for _ in range(LAST_ATTEMPT):
        sql("DELETE FROM outbox")
        deliver([delivery_id], receivers)
        make_due(sql)
    delivery = the_delivery(sql)
    assert (delivery.state, delivery.attempt, delivery.webhook_sent) == ("exhausted", 10, False)
    assert sql("SELECT 1 FROM outbox") == []
    logs = [line for line in logged() if "delivery_id" in line]
    assert [line["level"] for line in logs] == ["warning"] * 9 + ["error"]
    assert (logs[-1]["delivery_id"], logs[-1]["error"]) == (delivery_id, "answered 500")
    assert deliver([delivery_id], receivers) == 0
    assert len(receiver.requests) == 10


def test_without_an_endpoint_it_is_disabled(a_delivery: Factory, sql: Sql, logged: Logged) -> None:
    """WEBHOOK_URL was removed after the order settled: final, told in the log, and never called sent."""
    delivery_id = a_delivery()
    assert deliver([delivery_id], Receivers()) == 0
    delivery = the_delivery(sql)
    assert (delivery.state, delivery.attempt, delivery.webhook_sent) == ("disabled", 0, False)
    assert [(line["level"], line["delivery_ids"]) for line in logged()] == [("warning", [delivery_id])]


def test_the_secret_is_in_no_log_line(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, logged: Logged
) -> None:
    """Whoever reads logs cannot sign webhooks."""
    receiver.behave = answering(500)
    deliver([a_delivery()], receivers)
    assert logged()
    assert SECRET.removeprefix("whsec_") not in str(logged())


def test_a_run_out_of_time_gives_the_rest_back(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """The unsent ones lose no attempt, wait for no lease and have a message each."""
    ids = sorted(a_delivery() for _ in range(3))
    sql("DELETE FROM outbox")
    assert deliver(ids, receivers, last_start=0) == 1
    assert len(receiver.requests) == 1
    rest = sql("SELECT id, attempt, lease_until FROM webhook_deliveries WHERE state = 'pending' ORDER BY id")
    assert [tuple(row) for row in rest] == [(ids[1], 0, None), (ids[2], 0, None)]
    assert [row.subject_id for row in sql("SELECT subject_id FROM outbox ORDER BY subject_id")] == ids[1:]
    assert deliver(ids, receivers) == 2
