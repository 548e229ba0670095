"""PostgreSQL goes away under a relay: one line when it goes, one when it is back, and everything leaves."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from orderapp.outbox.cli import OUTAGE_POLL, POLL, Steps
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import taken_ids
from tests.outbox.fakes import FakePublisher
from tests.outbox.rows import left, put, put_many
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until
from tests.wire import listening


@pytest.fixture
def steps(a_relay: ARelay) -> Steps:
    """Return the loop of a relay on a broker that takes everything."""
    return Steps(a_relay(FakePublisher()))


def test_a_relay_outlives_a_restart_of_postgresql(processes: Processes, broker: str, private_postgres: Any, app: Flask) -> None:
    """As an operator sees it."""
    relay = processes.relay().wait_ready()
    with app.app_context():
        put(1)
        wait_until(lambda: left() == 0, 20, "the first message to leave")
        put_many(range(2, 102), after=1)
    private_postgres.stop()
    relay.wait_for_line("database unreachable")
    private_postgres.start()
    wait_until(lambda: left() == 0, 30, "everything to leave")
    relay.wait_for_line("relay goes on")
    assert relay.text.count("database unreachable") == 1 + relay.text.count("after='database unreachable'")
    assert relay.text.count("relay goes on") == 1
    assert "Traceback" not in relay.text
    assert set(taken_ids(broker)) == set(range(1, 102))
    assert relay.stop() == 0


def events(logged: Logged) -> list[str]:
    """Return the outbox's log lines."""
    return [line["event"] for line in logged()]


def fail(steps: Steps) -> float:
    """Take a step while PostgreSQL shuts down."""
    with listening() as wire:
        wire.fail("unnest", "57P01")
        return steps()


def test_an_outage_is_one_line_however_often_it_is_met(steps: Steps, logged: Logged) -> None:
    """Four tries a second would bury every other line."""
    put(1)
    assert [fail(steps) for _ in range(3)] == [OUTAGE_POLL] * 3
    (line,) = logged()
    assert (line["event"], line["level"]) == ("database unreachable", "warning")
    assert "\n" not in line["fault"]
    assert [steps(), steps()] == [0, POLL]
    assert events(logged) == ["database unreachable", "relay goes on"]


def test_a_second_outage_is_told_again(steps: Steps, logged: Logged) -> None:
    """The first one was over."""
    for _ in range(2):
        fail(steps)
        steps()
    assert events(logged) == ["database unreachable", "relay goes on"] * 2


def test_a_fault_of_our_own_is_told_once_with_its_stack(steps: Steps, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process goes on: another queue, or the next row, may be fine."""

    def broken() -> int:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(steps._process, "relay_once", broken)
        assert [steps(), steps()] == [OUTAGE_POLL, OUTAGE_POLL]
    assert steps() == POLL
    assert events(logged) == ["relay failed", "relay goes on"]
    assert isinstance(logged()[0]["exc_info"], ZeroDivisionError)


def test_a_poll_that_is_skipped_does_not_end_an_outage_of_the_database(steps: Steps, logged: Logged) -> None:
    """Both are away: while the relay only waits for the broker, it has not asked PostgreSQL."""
    fail(steps)
    steps._process._connection.trip()
    assert steps() == POLL
    assert events(logged) == ["database unreachable"]


def test_rows_of_a_window_that_could_not_be_deleted_are_published_again(a_relay: ARelay) -> None:
    """The connection to PostgreSQL broke after the broker had confirmed."""
    put(1)
    publisher = FakePublisher()
    relay = a_relay(publisher)
    with listening() as wire:
        wire.cut("DELETE FROM outbox")
        with pytest.raises(OperationalError):
            relay.relay_once()
    assert left() == 1
    assert relay.relay_once() == 1
    assert len(publisher.windows) == 2
    assert left() == 0
