"""A relay is killed: its rows are still there, and the next relay publishes them again."""

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay
from tests.outbox.consumer import taken_ids
from tests.outbox.rows import left, open_transactions, put_many
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until
from tests.sql import one


def gone(condition: Callable[[], bool]) -> None:
    """Wait until PostgreSQL has noticed that a client is dead."""
    wait_until(condition, 20, "the end of the dead relay's transaction")


# Where in its window a relay is killed, and how many copies of its messages there are in the end. What was sent and not yet
# read may die with its connection: the broker owes a copy only for what it confirmed.
COPIES = {"claimed": {1}, "sent": {1, 2}, "confirmed": {2}}


@pytest.mark.parametrize("point", COPIES)
def test_a_relay_killed_in_a_window_leaves_its_rows(
    processes: Processes, broker: str, a_relay: ARelay, tmp_path: Path, point: str
) -> None:
    """At worst a second copy of a message, never none: tasks are written for that."""
    put_many(range(1, 301), task=WEBHOOKS_DELIVER)
    doomed = processes.relay(FAILPOINTS=f"{tmp_path}/passages outbox.relaying:publish:{point}=kill@1")
    wait_until(lambda: doomed.exit_code is not None, 60, "the kill")
    assert doomed.exit_code == -signal.SIGKILL
    gone(lambda: not open_transactions())
    assert left() == 300

    relay = a_relay(broker)
    wait_until(lambda: relay.relay_once() >= 0 and left() == 0, 20, "an empty outbox")

    copies = Counter(taken_ids(broker, "webhooks"))
    assert set(copies) == set(range(1, 301))
    assert set(copies.values()) <= COPIES[point]


def test_relays_killed_again_and_again_under_load_lose_nothing(
    processes: Processes, broker: str, app: Flask, a_relay: ARelay
) -> None:
    """From outside, wherever they happen to be."""
    everything = set(range(1, 20_001))
    with app.app_context():
        put_many(everything, task=WEBHOOKS_DELIVER)
        for step in (2, 3):
            process = processes.relay().wait_ready()
            wait_until(lambda limit=20_000 // step: left() < limit, 30, "some progress")
            process.kill()
            gone(lambda: not open_transactions())
        assert left() > 0
        relay = a_relay(broker)
        wait_until(lambda: relay.relay_once() >= 0 and left() == 0, 30, "an empty outbox")
    copies = Counter(taken_ids(broker, "webhooks"))
    assert set(copies) == everything
    assert one("SELECT count(*) FROM outbox") == 0
