"""SIGTERM: the relay finishes what it has in hand and exits with 0 within five seconds, whatever the broker does."""

import socket
import time
from collections.abc import Iterator

import pytest
from flask import Flask

from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.consumer import taken_ids
from tests.outbox.rows import left, open_transactions, put, put_many
from tests.servers.processes import Process, Processes
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import wait_until

# Seconds that container platforms are usually given before they kill.
LIMIT = 5


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the URL of a peer that takes connections and never says a word: packets that somebody swallows."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}//"


def stopped_in_time(relay: Process) -> None:
    """Ask the relay to end, and hold it to its promise."""
    began = time.monotonic()
    assert relay.stop() == 0
    assert time.monotonic() - began < LIMIT
    assert "relay stopped" in relay.text
    assert "Traceback" not in relay.text


@pytest.mark.parametrize("seed", range(3))
def test_an_idle_relay_stops_at_once(processes: Processes, broker: str, seed: int) -> None:
    """Wherever in its poll the signal meets it."""
    assert broker
    assert seed >= 0
    stopped_in_time(processes.relay().wait_ready())


def test_a_busy_relay_finishes_its_window(processes: Processes, broker: str, app: Flask) -> None:
    """Every message that it published has lost its row, none is in the air."""
    with app.app_context():
        put_many(range(1, 30_001), task=WEBHOOKS_DELIVER)
    relay = processes.relay().wait_ready()
    wait_until(lambda: left() < 30_000, 20, "the first window")
    stopped_in_time(relay)
    remaining = left()
    assert 0 < remaining < 30_000
    assert remaining % 1000 == 0
    assert taken_ids(broker, "webhooks") == list(range(1, 30_001 - remaining))


def test_a_relay_stops_while_it_connects_to_silence(processes: Processes, silent: str, app: Flask) -> None:
    """The handshake has a limit, and there is no second try inside it."""
    with app.app_context():
        put(1)
    relay = processes.relay(CELERY_BROKER_URL=silent).wait_ready()
    relay.wait_for_line("broker unreachable")
    stopped_in_time(relay)
    assert (left(), open_transactions()) == (1, [])


def test_a_relay_stops_while_the_broker_is_frozen_in_its_window(
    processes: Processes, fragile: str, node: RabbitNode, app: Flask
) -> None:
    """The window ends at its deadline; what was not confirmed stays."""
    relay = processes.relay(CELERY_BROKER_URL=fragile).wait_ready()
    with app.app_context():
        put(1)
        wait_until(lambda: left() == 0, 20, "the first message to leave")
        node.pause()
        try:
            put_many(range(2, 302), task=WEBHOOKS_DELIVER)
            wait_until(open_transactions, 10, "the window to be open")
            stopped_in_time(relay)
        finally:
            node.resume()
        assert (left(), open_transactions()) == (300, [])
