"""Events to other services: each leaves with its order's change, at least once, whether anybody listens or not."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import amqp
import orjson
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from config import load
from config_kinds import SettingsError
from orderapp.database import reading, writing
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.orders.queries import event_snapshots
from orderapp.orders.retrying import retry_order
from orderapp.outbox.announcing import EventRelay
from orderapp.outbox.broker import ExchangePublisher
from orderapp.outbox.messages import enqueue_events
from orderapp.webhooks import exchange
from orderapp.webhooks.payload import body_of
from tests.journeys.messages import Messages
from tests.orders.examples import TASK, placed
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.fakes import FakePublisher
from tests.outbox.rows import parked, put_raw
from tests.sql import one, sql

NAME = "shop.events"

pytestmark = pytest.mark.settings(EVENTS_EXCHANGE=NAME)

Make = Callable[..., int]


@pytest.fixture
def relay(broker: str) -> Iterator[EventRelay]:
    """Give the relay of events."""
    relay = EventRelay(ExchangePublisher(broker, NAME), NAME, exchange.bodies)
    yield relay
    relay.close()


@pytest.fixture
def bound(broker: str, relay: EventRelay) -> Messages:
    """Give a queue of another service, bound to every event of an order."""
    relay._publisher.open()
    messages = Messages(broker)
    bind(messages)
    return messages


def bind(messages: Messages, key: str = "order.#", queue: str = "theirs") -> None:
    """Do what docs/operations.md tells other services to do."""
    with messages._channel() as channel:
        channel.queue_declare(queue, durable=True, auto_delete=False)
        channel.queue_bind(queue, NAME, key)


def bodies(messages: list[amqp.Message]) -> list[dict[str, Any]]:
    """Return what the messages say."""
    return [orjson.loads(message.body) for message in messages]


def waiting() -> int:
    """Return how many events wait in the outbox."""
    return int(one("SELECT count(*) FROM outbox WHERE queue = 'events'"))


def test_every_event_of_an_order_is_published_in_the_words_of_a_webhook(
    a_product: Make, relay: EventRelay, bound: Messages
) -> None:
    """From placed to reopened: type as routing key, the event's id as message id, persistent JSON."""
    product_id = a_product(stock=1)
    first, second = placed((product_id, 1)), placed((product_id, 1))
    process_orders([first, second], TASK)
    retry_order(second, "tests")
    cancel_order(first, "tests")
    assert waiting() == 6
    assert relay.relay_once() == 6
    assert waiting() == 0

    messages = bound.take("theirs")
    events = {str(row.id): row for row in sql("SELECT * FROM order_events")}
    assert {message.properties["message_id"] for message in messages} == events.keys()
    for message, said in zip(messages, bodies(messages), strict=True):
        event = events[message.properties["message_id"]]
        assert (said["id"], said["type"], said["sequence"]) == (str(event.id), event.type, event.sequence)
        assert said["data"]["id"] == event.order_id
        assert message.delivery_info["routing_key"] == event.type
        assert message.properties["delivery_mode"] == 2
        assert message.properties["content_type"] == "application/json"
    told = {(said["data"]["id"], said["type"]): said["data"] for said in bodies(messages)}
    assert told[first, "order.placed"]["status"] == "pending"
    assert told[second, "order.reopened"]["status"] == "pending"
    assert told[first, "order.confirmed"]["total_amount"] == "2.50"
    assert told[second, "order.failed"]["failure_reason"]["code"] == "insufficient_stock"


def test_an_event_says_here_what_its_webhook_says(a_product: Make, relay: EventRelay, bound: Messages) -> None:
    """Byte for byte: a service may listen to both."""
    process_orders([placed((a_product(), 1))], TASK)
    relay.relay_once()
    event_id = one("SELECT id FROM order_events WHERE type = 'order.confirmed'")
    with reading() as session:
        (snapshot,) = event_snapshots(session, [event_id]).values()
    assert body_of(snapshot) in [message.body.encode() for message in bound.take("theirs")]


def test_a_key_chooses_what_is_heard(a_product: Make, relay: EventRelay, bound: Messages) -> None:
    """Topics are RabbitMQ's own filter."""
    bind(bound, "order.confirmed", "confirmed")
    process_orders([placed((a_product(), 1))], TASK)
    relay.relay_once()
    assert [said["type"] for said in bodies(bound.take("confirmed"))] == ["order.confirmed"]
    assert bound.waiting("theirs") == 2


def test_events_that_nobody_has_bound_are_let_go(a_product: Make, relay: EventRelay) -> None:
    """No consumer yet is no error: nothing is parked, nothing waits."""
    placed((a_product(), 1))
    assert relay.relay_once() == 1
    assert (waiting(), relay.parked) == (0, 0)


def test_an_order_that_was_not_placed_is_not_announced(a_product: Make) -> None:
    """The event and its message are one transaction with the order."""
    product_id = a_product()
    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert waiting() == 0
    assert placed((product_id, 1))
    assert waiting() == 1


def write_and_fail() -> None:
    """Announce something in a transaction that comes to nothing."""
    with writing():
        enqueue_events([(1, uuid4())])
        raise ZeroDivisionError


@pytest.mark.settings(EVENTS_EXCHANGE="")
def test_without_the_setting_nothing_is_written(a_product: Make) -> None:
    """Off by default, and then free."""
    process_orders([placed((a_product(), 1))], TASK)
    assert waiting() == 0


def test_an_exchange_that_was_deleted_is_declared_again(
    a_product: Make, relay: EventRelay, bound: Messages, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker ends the channel; the next window finds the exchange anew, and the events are still there."""
    placed((a_product(), 1))
    with bound._channel() as channel:
        channel.exchange_delete(NAME)
    assert relay.relay_once() == 0
    assert waiting() == 1
    assert [line["event"] for line in logged() if "outage" not in line] == [
        "events cannot be published, they wait in the outbox"
    ]
    monkeypatch.setattr(relay._connection, "_until", 0.0)
    assert relay.relay_once() == 1
    assert waiting() == 0
    with bound._channel() as channel:
        channel.exchange_declare(NAME, "topic", passive=True)


def test_a_foreign_exchange_of_that_name_holds_up_no_order(
    a_product: Make, relay: EventRelay, a_relay: ARelay, broker: str, logged: Logged
) -> None:
    """Of another kind it is named once and used as it is; tasks have a relay, a connection and a breaker of their own."""
    messages = Messages(broker)
    with messages._channel() as channel:
        channel.exchange_declare(NAME, "direct", durable=True, auto_delete=False)
    placed((a_product(), 1))
    assert relay.relay_once() == 1
    assert a_relay(broker).relay_once() == 1
    assert [line["exchange"] for line in logged() if line["event"] == "exchange cannot be declared"] == [NAME]


def test_rows_that_are_no_events_are_parked_with_the_reason(app: Flask, a_product: Make) -> None:
    """Written by hand; they must not hold up the others."""
    assert app
    placed((a_product(), 1))
    put_raw(queue="events", task="events.publish", subject_id=7, args=orjson.dumps([str(uuid4())]).decode())
    put_raw(queue="events", task="events.publish", subject_id=8, args='["x"]')
    put_raw(queue="events", task="orders.process", subject_id=9, args="[]")
    relay = EventRelay(publisher := FakePublisher(), NAME, exchange.bodies)
    assert relay.relay_once() == 4
    assert [len(window) for window in publisher.windows] == [1]
    assert [reason for _, reason in parked()] == [
        "events.publish: there is no such event",
        "events.publish: badly formed hexadecimal UUID string",
        "events.publish: the row is no event",
    ]


def test_the_file_broker_has_no_exchanges(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Said at the start, and not by rows that pile up."""
    for name, value in {"DATABASE_URL": "postgresql://h/x", "CELERY_BROKER_URL": f"filesystem://{tmp_path}"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EVENTS_EXCHANGE", NAME)
    with pytest.raises(SettingsError, match=r"EVENTS_EXCHANGE +needs RabbitMQ"):
        load(env_file=tmp_path / "there-is-no.env")


def test_once_drains_the_events_too(runner: FlaskCliRunner, a_product: Make, bound: Messages) -> None:
    """The command of tests and scripts; the status shows their lane."""
    placed((a_product(), 1))
    status = orjson.loads(runner.invoke(args=["outbox", "status", "--json"]).stdout)
    assert next(row["due"] for row in status if row["queue"] == "events") == 1
    result = runner.invoke(args=["outbox", "relay", "--once"])
    assert result.stdout == "2 message(s) relayed, 0 parked, 0 due left.\n"
    assert [said["type"] for said in bodies(bound.take("theirs"))] == ["order.placed"]
