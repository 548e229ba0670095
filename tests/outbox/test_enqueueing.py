"""enqueue(): one short call that either writes a row in the caller's transaction or refuses at once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from orderapp import queues
from orderapp.database import LAST_ID, reading, writing
from orderapp.outbox.messages import LARGEST_ARGUMENTS, EnqueueError, enqueue, enqueue_many
from orderapp.queues import ORDERS_PROCESS, ORDERS_RESCUE, WEBHOOKS_DELIVER
from tests.outbox.rows import left
from tests.sql import one, sql
from tests.wire import listening

pytestmark = pytest.mark.usefixtures("app")


@dataclass
class Thing:
    """Something that orjson would write and a worker would not know."""

    size: int


def refused(call: Callable[[], None]) -> str:
    """Return why a call inside an act was refused; nothing was written, and the transaction can go on."""
    with writing() as session:
        with pytest.raises(EnqueueError) as refusal:
            call()
        assert session.execute(text("SELECT count(*) FROM outbox")).scalar() == 0
    assert left() == 0
    return str(refusal.value)


def test_a_message_is_one_short_call_in_the_callers_transaction() -> None:
    """The row holds ids and nothing else; it is due at once."""
    with writing():
        enqueue(ORDERS_PROCESS, 7)
    (row,) = sql("SELECT * FROM outbox")
    assert (row.queue, row.task, row.subject_id, row.args, row.headers) == ("orders", "orders.process", 7, [], {})
    assert (row.parked_at, row.error) == (None, None)
    assert one("SELECT available_at <= now() AND created_at <= now() FROM outbox")


def test_a_message_disappears_with_its_transaction() -> None:
    """No message without the change it is about."""

    def fail() -> None:
        with writing():
            enqueue(ORDERS_PROCESS, 7)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left() == 0


def test_a_task_without_subjects_takes_json_arguments() -> None:
    """Everything that JSON can say comes back as it was."""
    arguments = ["2026-01-31", 3, 1.5, None, True, {"a": [1, {"b": "ä€𝄞"}]}, 2**63, -(2**63), "", "back\\slash \\u0000"]
    with writing():
        enqueue(ORDERS_RESCUE, *arguments)
    row = one("SELECT queue, subject_id, args FROM outbox")
    assert row == ("maintenance", None, arguments)


def test_available_at_delays_the_message() -> None:
    """In the database, in any time zone."""
    when = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    with writing():
        enqueue(WEBHOOKS_DELIVER, 1, available_at=when)
    assert one("SELECT queue, available_at FROM outbox") == ("webhooks", when.astimezone(UTC))


def test_the_request_id_travels_with_the_message(app: Flask) -> None:
    """One id from the request to the task's log lines."""
    with app.test_request_context(headers={"X-Request-ID": "abc-1"}):
        app.preprocess_request()
        with writing():
            enqueue(ORDERS_PROCESS, 7)
    assert one("SELECT headers FROM outbox") == {"request_id": "abc-1"}


def test_many_messages_are_one_statement() -> None:
    """A settle of a hundred orders pays for one."""
    with listening() as wire, writing():
        enqueue_many(WEBHOOKS_DELIVER, range(1, 1001))
    assert len(wire.said) == 1
    assert [row.subject_id for row in sql("SELECT subject_id FROM outbox ORDER BY id")] == list(range(1, 1001))


def test_no_messages_are_no_statement() -> None:
    """An order without endpoints enqueues an empty list."""
    with listening() as wire, writing():
        enqueue_many(WEBHOOKS_DELIVER, [])
    assert wire.said == []


def test_outside_of_a_transaction_the_call_is_refused() -> None:
    """A message of its own could be lost, or announce what never happened; a read is no transaction either."""
    with pytest.raises(EnqueueError, match="inside writing"):
        enqueue(ORDERS_PROCESS, 1)
    with reading(), pytest.raises(EnqueueError, match="inside writing"):
        enqueue_many(ORDERS_PROCESS, [1])
    assert left() == 0


def test_an_unknown_task_is_refused_with_the_names_of_all() -> None:
    """A typo shows at the call, not in a worker at night."""
    reason = refused(lambda: enqueue("orders.proces", 1))
    assert "'orders.proces'" in reason
    assert "orders.process" in reason


@pytest.mark.parametrize("wrong", [0, -1, LAST_ID + 1, True, "1", 1.0, None, [1], Decimal(1), b"1"], ids=repr)
def test_what_is_no_id_is_refused(wrong: object) -> None:
    """PostgreSQL would refuse some of these itself and take the whole transaction with it."""
    assert "positive 64-bit integer id" in refused(lambda: enqueue(ORDERS_PROCESS, wrong))
    assert "positive 64-bit integer id" in refused(lambda: enqueue_many(ORDERS_PROCESS, [1, wrong]))  # type: ignore[list-item]


def test_the_largest_id_is_an_id() -> None:
    """Nothing is off by one."""
    with writing():
        enqueue(ORDERS_PROCESS, LAST_ID)
    assert one("SELECT subject_id FROM outbox") == LAST_ID


@pytest.mark.parametrize("arguments", [(), (1, 2)], ids=["none", "two"])
def test_a_task_on_subjects_takes_exactly_one_id(arguments: tuple[int, ...]) -> None:
    """The relay gathers; callers do not."""
    assert "exactly one id" in refused(lambda: enqueue(ORDERS_PROCESS, *arguments))


def test_a_task_without_subjects_takes_no_ids() -> None:
    """enqueue_many() is for subjects."""
    assert "not subject ids" in refused(lambda: enqueue_many(ORDERS_RESCUE, [1]))


NOT_JSON = {
    "object": object(),
    "bytes": b"x",
    "set": {1},
    "decimal": Decimal("1.5"),
    "datetime": datetime(2030, 1, 1, tzinfo=UTC),
    "uuid": UUID(int=1),
    "dataclass": Thing(1),
    "nan": float("nan"),
    "infinity": float("inf"),
    "half a surrogate pair": "\ud800",
    "integer of 65 bits": 2**64,
    "keys that are no texts": {1: 2},
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_arguments_that_are_not_json_are_refused(name: str) -> None:
    """Also those that a lenient encoder would turn into something else without a word."""
    assert "not JSON" in refused(lambda: enqueue(ORDERS_RESCUE, NOT_JSON[name]))


def test_arguments_that_contain_themselves_are_refused() -> None:
    """They would never end."""
    circle: list[object] = []
    circle.append(circle)
    assert "not JSON" in refused(lambda: enqueue(ORDERS_RESCUE, circle))


def test_a_nul_character_is_refused() -> None:
    """A jsonb value cannot hold it, and PostgreSQL's error would end the transaction."""
    assert "NUL" in refused(lambda: enqueue(ORDERS_RESCUE, {"a": ["x\0y"]}))
    assert "NUL" in refused(lambda: enqueue(ORDERS_RESCUE, {"\0": 1}))
    assert "NUL" in refused(lambda: enqueue(ORDERS_RESCUE, "\\\0"))


def test_arguments_may_be_large_but_not_larger_than_the_limit() -> None:
    """A message is a wake-up, not a file."""
    fits = "x" * (LARGEST_ARGUMENTS - len('[""]'))
    assert "65537 bytes" in refused(lambda: enqueue(ORDERS_RESCUE, fits + "x"))
    with writing():
        enqueue(ORDERS_RESCUE, fits)
    assert left() == 1


def test_a_time_without_a_zone_is_refused() -> None:
    """It would mean another moment on another machine."""
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - that is the fault
    assert "time zone" in refused(lambda: enqueue(ORDERS_PROCESS, 1, available_at=naive))
    assert "time zone" in refused(lambda: enqueue_many(ORDERS_PROCESS, [1], available_at=naive))
    assert "time zone" in refused(lambda: enqueue(ORDERS_RESCUE, available_at=naive))


def test_every_task_of_the_list_can_be_enqueued() -> None:
    """And lands in the queue that the list names."""
    with writing():
        for task in queues.TASKS.values():
            enqueue(task.name, *([1] if task.batch else []))
    expected = sorted((task.name, task.queue) for task in queues.TASKS.values())
    assert [tuple(row) for row in sql("SELECT task, queue FROM outbox ORDER BY task")] == expected


def test_a_database_that_fails_is_no_wrong_call() -> None:
    """The caller's transaction fails as it would on any statement."""
    with listening() as wire:
        wire.fail("INSERT INTO outbox", "53100")
        with pytest.raises(SQLAlchemyError), writing():
            enqueue(ORDERS_PROCESS, 1)
    assert left() == 0
