"""``flask outbox``: what an operator types and reads."""

from typing import Any

import orjson
import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from orderapp.outbox import cli
from orderapp.outbox.relaying import GATHER, Relay
from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.consumer import connect, taken_ids
from tests.outbox.rows import left, parked, put, put_many, put_raw
from tests.sql import one, sql


def run(runner: FlaskCliRunner, *arguments: object) -> Result:
    """Run one command."""
    return runner.invoke(args=["outbox", *map(str, arguments)])


def rows(runner: FlaskCliRunner, *arguments: object) -> list[dict[str, Any]]:
    """Return the rows of a command's table."""
    result = run(runner, *arguments, "--json")
    assert result.exit_code == 0, result.output
    table: list[dict[str, Any]] = orjson.loads(result.stdout)
    return table


def a_parked_row(subject_id: int = 7, reason: str = "returned by the broker") -> int:
    """Park a row; returns its id."""
    return put_raw(subject_id=subject_id, error=reason, parked_at="2026-01-31 12:00+00")


def test_once_drains_what_is_due_and_exits(runner: FlaskCliRunner, broker: str) -> None:
    """However many windows that takes; what is due later stays."""
    put_many(range(1, 4501))
    put(9, after=3600)
    result = run(runner, "relay", "--once")
    assert (result.exit_code, result.stdout) == (0, "4500 message(s) relayed, 0 parked, 0 due left.\n")
    assert taken_ids(broker) == list(range(1, 4501))
    assert left() == 1


@pytest.mark.parametrize(("options", "gather"), [((), GATHER), (("--once",), 0)])
def test_a_relay_that_goes_on_gathers_and_one_that_drains_does_not(
    runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], gather: float
) -> None:
    """To a drain a queue that rests would look empty."""
    made: list[float] = []

    class Noted(Relay):
        def __init__(self, *given: Any, **more: Any) -> None:
            made.append(more["gather"])
            super().__init__(*given, **more)

    monkeypatch.setattr(cli, "Relay", Noted)
    monkeypatch.setattr(cli, "run", lambda *_loop: None)
    assert run(runner, "relay", *options).exit_code == 0
    assert made == [gather]


def test_once_goes_on_after_a_window_that_only_parked(runner: FlaskCliRunner, broker: str) -> None:
    """Two thousand rows of a task that is gone stand before one that is fine."""
    sql("INSERT INTO outbox (queue, task, subject_id) SELECT 'orders', 'old.task', g FROM generate_series(1, 2000) g")
    put(1)
    result = run(runner, "relay", "--once")
    assert result.stdout == "1 message(s) relayed, 2000 parked, 0 due left.\n"
    assert taken_ids(broker) == [1]


def test_once_says_when_the_broker_did_not_take_everything(runner: FlaskCliRunner) -> None:
    """With an exit code that a script sees."""
    put(1)
    result = run(runner, "relay", "--once")
    assert result.exit_code == 1
    assert "0 message(s) relayed, 0 parked, 1 due left." in result.output
    assert "did not take everything" in result.output


def test_once_leaves_the_queues_of_another_version(runner: FlaskCliRunner, broker: str) -> None:
    """It is that version's relay that takes them; a script would wait for it in vain."""
    assert broker
    put_raw(queue="from-tomorrow")
    result = run(runner, "relay", "--once")
    assert (result.exit_code, left()) == (0, 1)


def test_status_counts_each_queue(runner: FlaskCliRunner) -> None:
    """Queues in which nothing waits are rows too."""
    put(1, 2)
    put(3, after=3600)
    put(4, task=WEBHOOKS_DELIVER, after=3600)
    a_parked_row()
    sql("UPDATE outbox SET available_at = now() - interval '90 s' WHERE subject_id = 1")
    orders, webhooks, maintenance, _dead = rows(runner, "status")
    assert 89 < orders.pop("oldest_seconds") < 120
    assert orders == {"queue": "orders", "due": 2, "later": 1, "parked": 1}
    assert webhooks == {"queue": "webhooks", "due": 0, "later": 1, "parked": 0, "oldest_seconds": 0.0}
    assert maintenance == {"queue": "maintenance", "due": 0, "later": 0, "parked": 0, "oldest_seconds": 0.0}


def test_status_shows_queues_that_no_relay_of_this_version_serves(runner: FlaskCliRunner) -> None:
    """Otherwise nobody would ever see that messages wait there."""
    put_raw(queue="from-tomorrow")
    queues = [row["queue"] for row in rows(runner, "status")]
    assert queues == ["orders", "webhooks", "maintenance", "from-tomorrow", "orderapp.dead"]


def test_status_is_a_table_for_people(runner: FlaskCliRunner) -> None:
    """Without --json."""
    put(1)
    output = run(runner, "status").stdout
    for word in ("queue", "due", "later", "parked", "orders", "webhooks", "maintenance"):
        assert word in output


def test_parked_lists_the_reason(runner: FlaskCliRunner) -> None:
    """Oldest first."""
    first, second = a_parked_row(7), a_parked_row(8, "another reason")
    put(9)
    one_row, other = rows(runner, "parked")
    assert one_row == {
        "id": first,
        "queue": "orders",
        "task": "orders.process",
        "subject_id": 7,
        "args": [],
        "parked_at": "2026-01-31T12:00:00Z",
        "error": "returned by the broker",
    }
    assert (other["id"], other["error"]) == (second, "another reason")
    assert [row["id"] for row in rows(runner, "parked", "--limit", 1)] == [first]


def test_nothing_parked_is_said_in_words(runner: FlaskCliRunner) -> None:
    """And as an empty list for machines."""
    assert run(runner, "parked").stdout == "Nothing is parked.\n"
    assert rows(runner, "parked") == []


def test_a_retried_message_leaves_with_the_next_window(runner: FlaskCliRunner, broker: str) -> None:
    """As if it had just become due."""
    message_id = a_parked_row(7)
    result = run(runner, "retry", message_id)
    assert (result.exit_code, result.stdout) == (0, "1 message(s) due again.\n")
    assert run(runner, "relay", "--once").exit_code == 0
    assert taken_ids(broker) == [7]


def test_a_discarded_message_is_gone_but_for_the_audit_log(runner: FlaskCliRunner) -> None:
    """Who did it, and what it was."""
    message_id, other = a_parked_row(7), a_parked_row(8)
    result = run(runner, "discard", message_id, "--reason", "sent by hand")
    assert (result.exit_code, result.stdout) == (0, "1 message(s) discarded.\n")
    assert one("SELECT id FROM outbox") == other
    entry = one("SELECT action, subject, subject_id, before, reason FROM audit_log")
    assert (entry.action, entry.subject, entry.subject_id, entry.reason) == ("discard", "message", message_id, "sent by hand")
    assert entry.before["subject_id"] == 7


@pytest.mark.parametrize("command", ["retry", "discard"])
def test_a_message_that_is_not_parked_is_refused_and_none_is_changed(runner: FlaskCliRunner, command: str) -> None:
    """All or nothing: a typo in a list of ids must not go half through."""
    message_id = a_parked_row(7)
    put(8)
    waiting = one("SELECT max(id) FROM outbox")
    result = run(runner, command, message_id, waiting, 4711)
    assert result.exit_code == 1
    assert f"not parked: {waiting}, 4711; nothing was changed" in result.output
    assert (left(), len(parked())) == (2, 1)


@pytest.mark.parametrize("command", ["retry", "discard"])
def test_one_id_given_twice_is_one_message(runner: FlaskCliRunner, command: str) -> None:
    """Not two, and no fault."""
    message_id = a_parked_row(7)
    assert run(runner, command, message_id, message_id).stdout.startswith("1 message(s)")


@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize("wrong", ["", "x", "0", "-1", "9223372036854775808"])
def test_what_is_no_id_is_refused_before_the_database_sees_it(runner: FlaskCliRunner, command: str, wrong: str) -> None:
    """With click's usage, not with a traceback."""
    result = run(runner, command, "--", wrong)
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_the_relay_declares_the_queues_before_any_worker_ran(runner: FlaskCliRunner, broker: str) -> None:
    """Order of start does not matter."""
    put(1)
    run(runner, "relay", "--once")
    with connect(broker) as connection:
        for name in ("orders", "webhooks", "maintenance", "orderapp.dead"):
            connection.default_channel.queue_declare(name, passive=True)
