"""What a relay publishes, on both brokers: due rows leave, the rest stays, and any Celery worker can read the message."""

import uuid
from itertools import chain
from typing import Any

import pytest
from flask import Flask
from psycopg2.extras import Json

from orderapp.database import writing
from orderapp.outbox.messages import enqueue
from orderapp.queues import ORDERS_PROCESS, ORDERS_RESCUE, WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import take, taken_ids
from tests.outbox.fakes import FakePublisher
from tests.outbox.rows import left, parked, put, put_many, put_raw
from tests.servers.waiting import wait_until
from tests.sql import holding, one, sql
from tests.wire import listening


def test_what_is_due_leaves_and_what_is_not_stays(a_relay: ARelay, any_broker: str) -> None:
    """The row is gone when the broker has confirmed it."""
    put(1)
    put(2, after=3600)
    assert a_relay(any_broker).relay_once() == 1
    assert taken_ids(any_broker) == [1]
    assert one("SELECT subject_id FROM outbox") == 2


def test_a_row_leaves_as_soon_as_it_becomes_due(a_relay: ARelay, any_broker: str) -> None:
    """The database's clock decides."""
    put(1, after=3600)
    relay = a_relay(any_broker)
    assert relay.relay_once() == 0
    sql("UPDATE outbox SET available_at = now()")
    assert relay.relay_once() == 1
    assert taken_ids(any_broker) == [1]


def test_one_row_is_one_message_of_one_id(a_relay: ARelay, any_broker: str) -> None:
    """At low load nothing waits for company."""
    put(41)
    a_relay(any_broker).relay_once()
    (message,) = take(any_broker)
    assert message.args == [[41]]


def test_many_rows_travel_in_messages_of_at_most_a_batch(a_relay: ARelay, any_broker: str) -> None:
    """Oldest first, and none twice."""
    put_many(range(1, 251))
    assert a_relay(any_broker).relay_once() == 250
    messages = take(any_broker)
    assert [len(message.ids) for message in messages] == [100, 100, 50]
    assert messages[0].headers["argsrepr"] == "(100 ids: 1..100)"
    assert list(chain.from_iterable(message.ids for message in messages)) == list(range(1, 251))
    assert left() == 0


def test_with_a_batch_of_one_every_row_is_a_message(a_relay: ARelay, any_broker: str) -> None:
    """The ids of one message share its fate."""
    put_many(range(1, 6), task=WEBHOOKS_DELIVER)
    assert a_relay(any_broker).relay_once() == 5
    assert [message.ids for message in take(any_broker, "webhooks")] == [[1], [2], [3], [4], [5]]


def test_rows_of_one_subject_are_one_wake_up(a_relay: ARelay, any_broker: str) -> None:
    """A rescue writes a second row for an order whose first one still waits."""
    put(5, 3, 5, 3, 5)
    assert a_relay(any_broker).relay_once() == 5
    (message,) = take(any_broker)
    assert message.ids == [5, 3]
    assert left() == 0


def test_every_queue_gets_its_own(a_relay: ARelay, any_broker: str) -> None:
    """One call serves them all."""
    put(1)
    put(2, task=WEBHOOKS_DELIVER)
    with writing():
        enqueue(ORDERS_RESCUE, "x", {"y": [1.5, None]})
    assert a_relay(any_broker).relay_once() == 3
    assert taken_ids(any_broker, "orders") == [1]
    assert taken_ids(any_broker, "webhooks") == [2]
    (rescue,) = take(any_broker, "maintenance")
    assert rescue.args == ["x", {"y": [1.5, None]}]


def test_a_relay_of_one_queue_leaves_the_others(a_relay: ARelay, any_broker: str) -> None:
    """A mountain of due webhooks can have relays of its own."""
    put(1)
    put(2, task=WEBHOOKS_DELIVER)
    relay = a_relay(any_broker, queues=["webhooks"])
    assert relay.relay_once() == 1
    assert relay.relay_once() == 0
    assert one("SELECT queue FROM outbox") == "orders"


def test_a_message_is_what_celery_itself_would_send(a_relay: ARelay, any_broker: str, app: Flask) -> None:
    """Protocol 2, JSON, persistent; the request id travels along."""
    put_raw(subject_id=7, headers=Json({"request_id": "abc", "traceparent": "00-1-2-01"}))
    a_relay(any_broker).relay_once()
    (message,) = take(any_broker)

    task_id = message.headers["id"]
    assert uuid.UUID(task_id).version == 7
    by_celery = app.extensions["celery"].amqp.as_task_v2(
        task_id, ORDERS_PROCESS, args=([7],), argsrepr="([7],)", kwargsrepr="{}", origin="orderapp-relay"
    )
    own = {"request_id": "abc", "traceparent": "00-1-2-01"}
    message.headers.pop("x-delivery-count", None)  # RabbitMQ's own
    assert message.headers == by_celery.headers | own
    assert (message.task, message.args, message.kwargs) == (ORDERS_PROCESS, [[7]], {})
    assert message.content_type == "application/json"
    assert message.properties["correlation_id"] == task_id
    assert message.properties["delivery_mode"] == 2


def test_each_message_has_an_id_of_its_own(a_relay: ARelay, any_broker: str) -> None:
    """The order's claim is told apart by it."""
    put_many(range(1, 301))
    a_relay(any_broker).relay_once()
    assert len({message.headers["id"] for message in take(any_broker)}) == 3


def test_a_batch_carries_nobodys_request_id(a_relay: ARelay, any_broker: str) -> None:
    """It belongs to many requests."""
    put_raw(subject_id=1, headers=Json({"request_id": "a"}))
    put_raw(subject_id=2, headers=Json({"request_id": "b"}))
    a_relay(any_broker).relay_once()
    (message,) = take(any_broker)
    assert message.ids == [1, 2]
    assert "request_id" not in message.headers


def test_a_backlog_leaves_in_windows(a_relay: ARelay, broker: str) -> None:
    """A window is bounded, so that a crash repeats little; all of them together are everything, once."""
    put_many(range(1, 5001))
    relay = a_relay(broker)
    windows = list(iter(relay.relay_once, 0))
    assert windows == [2000, 2000, 1000]
    assert taken_ids(broker) == list(range(1, 5001))


def test_no_more_is_claimed_than_the_broker_has_room_for(a_relay: ARelay) -> None:
    """Rows that could not be published now stay free for another relay."""
    put_many(range(1, 31), task=WEBHOOKS_DELIVER)
    put_many(range(1, 1001))
    publisher = FakePublisher(room=3)
    assert a_relay(publisher).relay_once() == 300 + 3
    assert [len(window) for window in publisher.windows] == [3, 3]


def test_rows_that_are_due_for_longer_go_first(a_relay: ARelay) -> None:
    """By the time they are due, not by id: ids are given before the commit."""
    put(1, 2, 3)
    sql("UPDATE outbox SET available_at = now() - make_interval(secs => subject_id::int)")
    publisher = FakePublisher()
    a_relay(publisher).relay_once()
    assert publisher.windows[0][0].row_ids == (3, 2, 1)


def test_a_row_that_commits_late_is_not_passed_over(a_relay: ARelay) -> None:
    """Its id is lower than those that have left already."""
    relay = a_relay(publisher := FakePublisher())
    insert = "INSERT INTO outbox (queue, task, subject_id) VALUES ('orders', 'orders.process', 1)"
    with holding(insert) as late:
        put(2)
        assert relay.relay_once() == 1
        late.connection.commit()
    assert relay.relay_once() == 1
    assert [message.row_ids for (message,) in publisher.windows] == [(2,), (1,)]


def test_rows_that_another_relay_holds_are_left_to_it(a_relay: ARelay) -> None:
    """Nobody waits for a lock."""
    put(1, 2)
    relay = a_relay(FakePublisher())
    with holding("SELECT id FROM outbox WHERE subject_id = 1 FOR UPDATE"):
        assert relay.relay_once() == 1
    assert one("SELECT subject_id FROM outbox") == 1
    assert relay.relay_once() == 1


def test_a_window_that_another_relay_emptied_first_is_no_window(a_relay: ARelay) -> None:
    """Between the poll and the claim."""
    put(1)
    with listening() as wire:
        wire.before("FOR UPDATE SKIP LOCKED", lambda: sql("DELETE FROM outbox"))
        assert a_relay(publisher := FakePublisher()).relay_once() == 0
    assert publisher.windows == []


def test_a_row_that_makes_no_message_is_parked_and_the_rest_goes_on(a_relay: ARelay, any_broker: str, logged: Logged) -> None:
    """An operator reads why; one line for all rows of one fault."""
    put(1)
    put_raw(task="orders.archive", subject_id=8)
    put_raw(task="orders.archive", subject_id=9)
    put_raw(subject_id=None)
    relay = a_relay(any_broker)
    assert relay.relay_once() == 4
    assert relay.parked == 3
    assert relay.relay_once() == 0
    assert taken_ids(any_broker) == [1]
    unknown = "this version has no task 'orders.archive'; retry with the version that has it, or discard"
    assert parked() == [(8, unknown), (9, unknown), (None, "orders.process: the row has no subject_id")]
    assert [line["outbox_ids"] for line in logged() if line["event"] == "messages parked"] == [[2, 3], [4]]


BAD = {
    "args is no list but dict": {"args": Json({"a": 1})},
    "args is no list but str": {"args": Json("x")},
    "headers is no object of texts": {"headers": Json({"a": 1})},
    "headers takes more than 1024 bytes": {"headers": Json({"a": "x" * 1024})},
    "headers has names that are not free: id, task": {"headers": Json({"task": "x", "id": "y"})},
    "the message would take": {"args": Json(["x" * 200_000])},
}


def test_a_row_that_nobody_could_publish_blocks_no_other(a_relay: ARelay, broker: str) -> None:
    """Written by hand or by a broken version: unparked it would fail every window of its queue, for ever."""
    for columns in BAD.values():
        put_raw(**({"queue": "maintenance", "task": ORDERS_RESCUE, "subject_id": None} | columns))
    put_raw(queue="maintenance", task=ORDERS_RESCUE, subject_id=None, args=Json(["fine"]))
    assert a_relay(broker).relay_once() == len(BAD) + 1
    assert [message.args for message in take(broker, "maintenance")] == [["fine"]]
    reasons = [reason for _, reason in parked()]
    assert len(reasons) == len(BAD)
    for wanted, reason in zip(BAD, reasons, strict=True):
        assert reason.startswith(f"orders.rescue: {wanted}")


def test_an_empty_outbox_opens_no_connection(a_relay: ARelay) -> None:
    """An idle relay needs no broker."""
    publisher = FakePublisher()
    publisher.is_away = True
    relay = a_relay(publisher)
    assert relay.relay_once() == 0
    assert not relay.is_waiting


def test_messages_of_one_row_share_the_lines_of_the_log(
    a_relay: ARelay, any_broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A line names up to a hundred messages and whose they are: one each took half of the relay's time."""
    put_many(range(1, 151), task=WEBHOOKS_DELIVER)
    a_relay(any_broker).relay_once()
    lines: list[Any] = [record.msg for record in caplog.records if "messages published" in str(record.msg)]
    assert [len(line["message_ids"]) for line in lines] == [100, 50]
    assert [len(line["subject_ids"]) for line in lines] == [100, 50]
    taken = {message.headers["id"] for message in take(any_broker, "webhooks")}
    assert taken == {name for line in lines for name in line["message_ids"]}


def test_a_message_of_many_rows_has_a_line_of_its_own(
    a_relay: ARelay, any_broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Only it tells which orders the task of that id worked on."""
    put_many(range(1, 251))
    a_relay(any_broker).relay_once()
    lines: list[Any] = [record.msg for record in caplog.records if "messages published" in str(record.msg)]
    assert [(len(line["message_ids"]), len(line["subject_ids"])) for line in lines] == [(1, 100), (1, 100), (1, 50)]


def test_a_busy_queue_gathers_rows_before_its_next_window(a_relay: ARelay) -> None:
    """The others go on; and so does the busy one, once the time is over."""
    relay = a_relay(publisher := FakePublisher(), gather=60)
    put(1, 2)
    assert relay.relay_once() == 2
    put(3)
    put(4, task=WEBHOOKS_DELIVER)
    assert (relay.relay_once(), left()) == (1, 1)
    hurried = a_relay(publisher, gather=0.001)
    put(5)
    assert hurried.relay_once() == 2
    put(6)
    wait_until(lambda: hurried.relay_once() == 1, 5, "the next window")
    assert [len(message.row_ids) for window in publisher.windows for message in window] == [2, 1, 2, 1]


def test_neither_a_single_row_nor_a_full_window_waits_for_company(a_relay: ARelay) -> None:
    """The first is an idle service's, and behind the second there is more."""
    relay = a_relay(FakePublisher(room=2), gather=60)
    for one_after_the_other in (1, 2):
        put(one_after_the_other)
        assert relay.relay_once() == 1
    put_many(range(3, 7), task=WEBHOOKS_DELIVER)
    assert [relay.relay_once(), relay.relay_once()] == [2, 2]
