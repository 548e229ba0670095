"""What becomes of a message when something goes wrong, and the settings that hold for every task."""

from collections.abc import Callable
from typing import Any

import celery.worker.consumer
import pytest
import structlog
from celery import Celery
from celery.exceptions import Reject
from flask import Flask, current_app
from kombu.message import Message
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from orderapp import database, queues, worker
from orderapp.database import reading
from orderapp.errors import BadMessageError, NotFoundError
from orderapp.incoming import message_ids
from orderapp.orders import processing
from orderapp.orders.states import LEASE
from orderapp.worker import Consumer, OrderTask

Deliver = Callable[..., Any]
Lines = Callable[[], list[dict[str, Any]]]

LAST = 2**63 - 1


@pytest.fixture
def deliver(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Deliver:
    """Return what delivers a message to a door with this body, as Celery's tracer does; waits between looks are short."""
    monkeypatch.setattr(database, "OUTAGE_POLL", 0)

    def run(body: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        task = type("Door", (OrderTask,), {"name": queues.ORDERS_PROCESS, "run": staticmethod(body)})()
        task.bind(app.extensions["celery"])
        task.push_request(id="the-task-id", request_id="abc", called_directly=False)
        try:
            return task(*args, **kwargs)
        finally:
            task.pop_request()

    return run


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return what gives the worker's log lines so far, as the fields they carry."""
    return lambda: [
        record.msg for record in caplog.records if record.name == "orderapp.worker" and isinstance(record.msg, dict)
    ]


def refusing(error: BaseException, times: int = 10**9) -> Callable[[], str]:
    """Return a body that raises so many times, then works; ``.calls`` counts."""

    def body() -> str:
        body.calls += 1  # type: ignore[attr-defined]
        if body.calls <= times:  # type: ignore[attr-defined]
            raise error
        return "done"

    body.calls = 0  # type: ignore[attr-defined]
    return body


def away() -> OperationalError:
    """Return what psycopg2 says of a server that is not there."""
    return OperationalError("SELECT 1", {}, Exception("connection refused"))


def test_a_door_runs_inside_the_application_with_its_task_in_every_log_line(deliver: Deliver, app: Flask) -> None:
    """Acts find their database, operators their lines."""

    def body(number: int, *, doubled: bool) -> tuple[Any, ...]:
        bound = structlog.contextvars.get_contextvars()
        return number, doubled, current_app._get_current_object(), bound  # type: ignore[attr-defined]

    bound = {"task": "orders.process", "task_id": "the-task-id", "request_id": "abc"}
    assert deliver(body, 1, doubled=True) == (1, True, app, bound)
    assert structlog.contextvars.get_contextvars() == {}, "what comes next is no part of this task"


def test_each_message_has_a_session_of_its_own(deliver: Deliver) -> None:
    """What one left behind, the next does not see."""

    def body() -> int:
        with reading() as session:
            return id(session)

    with reading() as session:
        assert deliver(body) != id(session)


@pytest.mark.parametrize("arguments", [(), (1, 2), (1, 2, 3)])
def test_a_message_with_the_wrong_number_of_arguments_is_dead_lettered(deliver: Deliver, arguments: tuple[int, ...]) -> None:
    """No retry makes it right, and the body never ran."""
    with pytest.raises(Reject) as refusal:
        deliver(lambda _ids: pytest.fail("ran"), *arguments)
    assert refusal.value.requeue is False
    assert isinstance(refusal.value.reason, BadMessageError)


def test_a_message_with_an_unknown_name_among_its_arguments_is_dead_lettered(deliver: Deliver) -> None:
    """The same for arguments by name."""
    with pytest.raises(Reject) as refusal:
        deliver(lambda _ids: pytest.fail("ran"), [1], colour="red")
    assert refusal.value.requeue is False


def test_a_message_that_the_door_refuses_is_dead_lettered_at_once(deliver: Deliver, lines: Lines) -> None:
    """With one line that names the fault, and no stack: the code is right."""
    body = refusing(BadMessageError("no ids"))
    with pytest.raises(Reject) as refusal:
        deliver(body)
    assert (refusal.value.requeue, body.calls) == (False, 1)  # type: ignore[attr-defined]
    (line,) = lines()
    assert (line["event"], line["reason"], line["task_id"]) == ("message refused", "no ids", "the-task-id")
    assert "exc_info" not in line


@pytest.mark.parametrize(
    "bug", [KeyError("x"), NotFoundError("x"), AssertionError(), ProgrammingError("s", {}, Exception()), TypeError("inside")]
)
def test_a_bug_is_dead_lettered_with_its_stack(deliver: Deliver, lines: Lines, bug: Exception) -> None:
    """The subject stays in PostgreSQL, where the rescuer finds it; the message stays for whoever mends the bug."""
    body = refusing(bug)
    with pytest.raises(Reject) as refusal:
        deliver(body)
    assert (refusal.value.requeue, body.calls) == (False, 1)  # type: ignore[attr-defined]
    (line,) = lines()
    assert (line["event"], line["exc_info"]) == ("task failed", True)


def test_a_task_without_memory_gives_its_message_back(deliver: Deliver) -> None:
    """Let through, it would end the worker and with it the messages of its neighbours."""
    with pytest.raises(Reject) as refusal:
        deliver(refusing(MemoryError()))
    assert refusal.value.requeue is True


@pytest.mark.parametrize("requeue", [True, False])
def test_a_door_may_reject_by_itself(deliver: Deliver, requeue: bool) -> None:
    """Its word counts."""
    with pytest.raises(Reject) as refusal:
        deliver(refusing(Reject("mine", requeue=requeue)))
    assert (refusal.value.reason, refusal.value.requeue) == ("mine", requeue)


@pytest.mark.parametrize("outage", [away(), PoolTimeoutError()])
def test_a_short_outage_is_waited_out_with_the_message_in_hand(deliver: Deliver, outage: Exception) -> None:
    """A restart of PostgreSQL costs a second, not a redelivery."""
    body = refusing(outage, times=3)
    assert deliver(body) == "done"
    assert body.calls == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("outage", [away(), PoolTimeoutError()])
def test_a_long_outage_gives_the_message_back_before_the_time_limit(
    deliver: Deliver, lines: Lines, outage: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited as long as it may, and nothing was counted against anybody."""
    monkeypatch.setattr(worker, "OUTAGE_PATIENCE", 0.05)
    body = refusing(outage)
    with pytest.raises(Reject) as refusal:
        deliver(body)
    assert refusal.value.requeue is True
    assert body.calls > 1  # type: ignore[attr-defined]
    assert [line["event"] for line in lines()] == ["database unreachable, the message goes back"]


@pytest.mark.settings(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
def test_a_database_that_is_really_away_gives_the_message_back(deliver: Deliver, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the driver's own error."""
    monkeypatch.setattr(worker, "OUTAGE_PATIENCE", 0)

    def body() -> None:
        with reading() as session:
            session.execute(text("SELECT 1"))

    with pytest.raises(Reject) as refusal:
        deliver(body)
    assert refusal.value.requeue is True


@pytest.mark.parametrize(
    "wrong",
    [None, 1, "1", (1,), {1}, {"1": 1}, [], [1] * 101, [0], [-1], [LAST + 1], [True], [1.0], ["1"], [None], [[1]], [1, "2"]],
)
def test_ids_that_our_relay_would_not_send_are_refused(wrong: object) -> None:
    """All or nothing: a message with one wrong id is not half done."""
    with pytest.raises(BadMessageError, match=r"orders\.process takes"):
        message_ids(queues.ORDERS_PROCESS, wrong)


@pytest.mark.parametrize(
    ("ids", "expected"), [([1], [1]), ([3, 1, 2], [1, 2, 3]), ([2, 2, 1], [1, 2]), ([LAST], [LAST]), ([1] * 100, [1])]
)
def test_ids_come_out_each_once_and_in_order(ids: list[int], expected: list[int]) -> None:
    """Locks are taken by id; two copies of one id are one order."""
    assert message_ids(queues.ORDERS_PROCESS, ids) == expected


@pytest.mark.parametrize("task", [queues.ORDERS_PROCESS, queues.WEBHOOKS_DELIVER])
def test_a_message_holds_as_many_ids_as_its_task_takes(task: str) -> None:
    """What the relay sends fits; more was never ours."""
    most = queues.TASKS[task].batch
    ids = list(range(1, most + 1))
    assert message_ids(task, ids) == ids
    with pytest.raises(BadMessageError):
        message_ids(task, [*ids, most + 1])


class AChannel:
    """A channel to a broker that notes how a message ends."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.said: list[tuple[str, int, bool]] = []

    def basic_reject(self, delivery_tag: int, requeue: bool) -> None:
        """Note a refusal."""
        self.said.append(("reject", delivery_tag, requeue))

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Note an acknowledgement."""
        self.said.append(("ack", delivery_tag, multiple))


def test_a_message_that_cannot_be_decoded_is_dead_lettered_and_not_acknowledged(lines: Lines) -> None:
    """Celery would acknowledge it, and nobody would ever see it again."""
    channel = AChannel()
    message = Message(b"?", delivery_tag=7, content_type="application/x-python-serialize", channel=channel)
    consumer = object.__new__(Consumer)
    consumer.connection_errors = ()
    consumer.on_decode_error(message, ValueError("pickle"))
    assert channel.said == [("reject", 7, False)]
    assert [(line["event"], line["content_type"]) for line in lines()] == [("message refused", message.content_type)]


def test_the_worker_uses_our_consumer_and_declares_no_delay_queues(app: Flask) -> None:
    """Native delayed delivery would make 28 queues."""
    app_of_celery: Celery = app.extensions["celery"]
    assert app_of_celery.conf.worker_consumer == "orderapp.worker:Consumer"
    steps = [str(step) for step in Consumer.Blueprint.default_steps]
    assert not any("DelayedDelivery" in step for step in steps)
    assert len(steps) == len(celery.worker.consumer.Consumer.Blueprint.default_steps) - 1


def test_a_message_is_kept_until_its_task_is_done_and_no_result_is_stored(app: Flask) -> None:
    """Celery's defaults acknowledge early, or when a task raised or timed out."""
    conf = app.extensions["celery"].conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost) == (True, True)
    assert (conf.task_acks_on_failure, conf.task_acks_on_timeout) == (False, False)
    assert (conf.result_backend, conf.task_ignore_result) == (None, True)
    assert (conf.accept_content, conf.worker_prefetch_multiplier) == (["json"], 1)


def test_every_task_is_registered_with_its_limit_and_its_queue(app: Flask) -> None:
    """A task that no worker knows is a dead letter."""
    known = app.extensions["celery"]
    for name, task in queues.TASKS.items():
        assert isinstance(known.tasks[name], OrderTask)
        assert known.conf.task_annotations[name] == {"time_limit": task.time_limit}
        assert known.conf.task_routes[name] == {"queue": task.queue}


def test_a_task_of_orders_is_killed_before_its_lease_ends() -> None:
    """A live run is never overtaken; and waiting for the database ends before the kill."""
    limit = queues.TASKS[queues.ORDERS_PROCESS].time_limit
    assert worker.OUTAGE_PATIENCE + processing.PATIENCE + database.CONNECT_TIMEOUT <= limit < LEASE
