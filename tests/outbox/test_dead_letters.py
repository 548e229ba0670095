"""``flask outbox dead``: how many messages nobody could take, and why; looking takes nothing out."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from flask.testing import FlaskCliRunner

from orderapp.outbox import dead_letters
from orderapp.outbox.broker import AmqpPublisher
from orderapp.outbox.receipts import BrokerOutageError
from orderapp.queues import DEAD_QUEUE
from tests.journeys.messages import Messages
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until

# Seconds in which a command says that the broker does not answer: 3 to connect or to be answered, and what a busy machine adds.
PATIENCE = 8

Bury = Callable[..., Messages]


def dead(runner: FlaskCliRunner) -> dict[str, Any]:
    """Return what the command tells a machine."""
    result = runner.invoke(args=["outbox", "dead", "--json"])
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = orjson.loads(result.stdout)
    return told


def told_of(runner: FlaskCliRunner, queue: str) -> dict[str, Any]:
    """Return the row of a queue in ``flask outbox status``."""
    result = runner.invoke(args=["outbox", "status", "--json"])
    assert result.exit_code == 0, result.output
    return next(row for row in orjson.loads(result.stdout) if row["queue"] == queue)


@pytest.fixture
def bury(broker: str) -> Bury:
    """Return what refuses everything that waits in a queue, as a worker does, and waits until it is dead."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    publisher.close()
    messages = Messages(broker)

    def bury(queue: str = "orders") -> Messages:
        waiting, there = messages.waiting(queue), messages.waiting(DEAD_QUEUE)
        with messages._channel() as channel:
            for _ in range(waiting):
                channel.basic_reject(channel.basic_get(queue).delivery_tag, requeue=False)
        wait_until(lambda: messages.waiting(DEAD_QUEUE) == there + waiting, 10, "the dead letters")
        return messages

    return bury


def test_each_reason_is_told_in_the_words_of_the_log(runner: FlaskCliRunner, broker: str, bury: Bury) -> None:
    """A rejected message carries none; so it is judged again by the worker's own rules."""
    messages = Messages(broker)
    messages.send("orders.process", [0])
    messages.send("orders.process", ["1"])
    messages.send("orders.process", [1], 2)
    messages.send("orders.destroy", [1], queue="orders")
    messages.publish("orders", b"\xff", {"task": "orders.process", "id": str(uuid4())})
    messages.send("orders.process", [1], headers={"compression": "nonsense"})
    messages.send("orders.process", [1], headers={"eta": "2999-01-01T00:00:00"})
    last = messages.send("orders.process", [7])
    bury()

    told = dead(runner)
    reasons = {one["reason"]: one for one in told["reasons"]}
    assert (told["messages"], told["looked_at"]) == (8, 8)
    assert reasons.pop("orders.process takes positive 64-bit ids")["messages"] == 2
    assert {one["messages"] for one in reasons.values()} == {1}
    assert {(one["queue"], one["task"]) for one in reasons.values()} == {
        ("orders", "orders.process"),
        ("orders", "orders.destroy"),
    }
    assert reasons["its task failed: see the log of that time"]["task_id"] == last
    assert reasons["its task failed: see the log of that time"]["first"].endswith("Z")
    for words in ("wrong arguments", "has no task 'orders.destroy'", "cannot decode: 'nonsense'", "brings eta"):
        assert [reason for reason in reasons if words in reason], (words, list(reasons))
    assert len([reason for reason in reasons if reason.startswith("cannot decode")]) == 2


@pytest.mark.parametrize("most", [100, 40], ids=["all", "the oldest"])
def test_looking_thirty_times_loses_and_disorders_nothing(
    runner: FlaskCliRunner, broker: str, bury: Bury, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Each look is a delivery that was given back; RabbitMQ 4 drops a message after 20 unless told otherwise."""
    monkeypatch.setattr(dead_letters, "MOST_LOOKED_AT", most)
    messages = Messages(broker)
    for number in range(1, 51):
        messages.send("orders.process", [number])
    bury()
    for _ in range(30):
        told = dead(runner)
        assert (told["messages"], told["looked_at"]) == (50, min(most, 50))
        wait_until(lambda: messages.waiting(DEAD_QUEUE) == 50, 10, "the messages that were looked at")
    assert [orjson.loads(message.body)[0][0] for message in messages.take(DEAD_QUEUE)] == [[n] for n in range(1, 51)]


def test_who_went_round_too_often_is_told_apart(runner: FlaskCliRunner, broker: str, bury: Bury) -> None:
    """Its own words are fine: no rule explains this death, the broker's header does."""
    assert bury
    messages = Messages(broker)
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 1} | {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": DEAD_QUEUE,
    }
    with messages._channel() as channel:
        channel.queue_declare("narrow", durable=True, auto_delete=False, arguments=arguments)
    messages.send("orders.process", [1], queue="narrow")
    with messages._channel() as channel:
        while not messages.waiting(DEAD_QUEUE):
            message = channel.basic_get("narrow")
            if message is not None:
                channel.basic_reject(message.delivery_tag, requeue=True)
    [reason] = dead(runner)["reasons"]
    assert (reason["queue"], reason["reason"]) == ("narrow", "given back or lost with its worker too often")


@pytest.mark.parametrize("forged", ["a text", [], [1], [{"time": 1, "queue": 2, "reason": [3]}]])
def test_a_forged_history_does_not_break_the_command(runner: FlaskCliRunner, broker: str, bury: Bury, forged: Any) -> None:
    """Whoever may publish can put any header into this queue."""
    assert bury
    Messages(broker).publish(DEAD_QUEUE, b"[]", {"x-death": forged, "task": 1})
    [reason] = dead(runner)["reasons"]
    assert (reason["reason"], reason["queue"], reason["task"], reason["first"]) == ("it names no task", None, None, None)


def test_people_read_a_table_and_a_count(runner: FlaskCliRunner, broker: str, bury: Bury) -> None:
    """And nothing but the count when there is none."""
    assert bury
    assert runner.invoke(args=["outbox", "dead"]).stdout == "0 message(s) in orderapp.dead, 0 looked at.\n"
    Messages(broker).send("orders.process", [0])
    bury()
    output = runner.invoke(args=["outbox", "dead"]).stdout
    assert "orders" in output
    assert output.endswith("1 message(s) in orderapp.dead, 1 looked at.\n")


@pytest.mark.rabbitmq
def test_before_any_relay_ran_there_are_none(runner: FlaskCliRunner, broker: str) -> None:
    """The queue is not declared by looking."""
    assert broker
    assert dead(runner) == {"messages": 0, "looked_at": 0, "reasons": []}
    assert told_of(runner, DEAD_QUEUE) == {"queue": DEAD_QUEUE, "messages": 0, "fault": None}


@pytest.mark.rabbitmq
def test_what_a_worker_refuses_before_any_relay_ran_is_kept(broker: str, processes: Processes) -> None:
    """RabbitMQ drops a dead letter whose queue does not exist."""
    processes.worker().wait_ready()
    messages = Messages(broker)
    messages.send("orders.process", [0])
    wait_until(lambda: messages.waiting(DEAD_QUEUE) == 1, 10, "the dead letter")


def test_status_counts_the_dead(runner: FlaskCliRunner, broker: str, bury: Bury) -> None:
    """One line below the outbox's own table."""
    Messages(broker).send("orders.process", [0])
    bury()
    assert told_of(runner, DEAD_QUEUE) == {"queue": DEAD_QUEUE, "messages": 1, "fault": None}
    assert "orderapp.dead: 1 message(s)\n" in runner.invoke(args=["outbox", "status"]).stdout


def test_status_is_told_with_the_broker_away(runner: FlaskCliRunner) -> None:
    """During an outage it is what an operator looks at first."""
    result = runner.invoke(args=["outbox", "status"])
    assert result.exit_code == 0
    assert "webhooks" in result.stdout
    assert "orderapp.dead: broker unreachable (" in result.stdout
    assert told_of(runner, DEAD_QUEUE)["messages"] is None


def test_dead_with_the_broker_away_is_refused_in_words(runner: FlaskCliRunner) -> None:
    """With an exit code that a script sees."""
    result = runner.invoke(args=["outbox", "dead"])
    assert result.exit_code == 1
    assert "broker unreachable" in result.output


def test_a_silent_broker_does_not_hang_the_count() -> None:
    """It takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(BrokerOutageError):
            dead_letters.count(f"amqp://u:p@127.0.0.1:{silent.getsockname()[1]}//")
    assert time.monotonic() - began < PATIENCE


def test_the_files_of_make_run_keep_no_dead_letters(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Said, not shown as an error or as an empty queue."""
    assert environment
    monkeypatch.setenv("CELERY_BROKER_URL", f"filesystem://{tmp_path}/broker")
    runner = request.getfixturevalue("runner")
    assert "keep no dead letters" in runner.invoke(args=["outbox", "status"]).stdout
    result = runner.invoke(args=["outbox", "dead"])
    assert result.exit_code == 1
    assert "keep no dead letters" in result.output
