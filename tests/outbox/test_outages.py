"""The broker is away, frozen, starved or lost on the way: rows wait, nothing is counted, everything leaves afterwards."""

import select
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from orderapp.outbox.breaker import FIRST_WAIT
from orderapp.outbox.broker import AmqpPublisher
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.relaying import WINDOW_TIME, Relay
from orderapp.queues import TASKS, WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import take, taken_ids
from tests.outbox.fakes import FakePublisher, fails
from tests.outbox.rows import left, open_transactions, parked, put, put_many
from tests.servers.environment import NOBODY
from tests.servers.processes import Processes
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import wait_until
from tests.wire import listening

UNREACHABLE = "broker unreachable, messages wait in the outbox"

# Seconds that a busy machine may add to a deadline.
GRACE = 1.5


def timed(call: Callable[[], Any]) -> float:
    """Return how many seconds a call takes."""
    began = time.monotonic()
    call()
    return time.monotonic() - began


def drain(relay: Relay) -> None:
    """Let the relay work until the outbox is empty."""
    wait_until(lambda: relay.relay_once() >= 0 and left() == 0, 30, "an empty outbox")


def events(logged: Logged) -> list[str]:
    """Return the outbox's log lines."""
    return [line["event"] for line in logged()]


def test_a_broker_that_refuses_connections_costs_nothing(a_relay: ARelay, logged: Logged) -> None:
    """Told once, however many tries fail; no transaction while waiting; no sleep inside a try."""
    put(1)
    relay = a_relay(NOBODY)
    assert timed(relay.relay_once) < GRACE  # Kombu's own connect() sleeps 2 s between two tries of its own
    assert relay.is_waiting
    with listening() as wire:
        assert relay.relay_once() == 0
    assert wire.said == []
    for _ in range(3):
        wait_until(lambda: not relay.is_waiting, 5, "the end of the pause")
        assert relay.relay_once() == 0
    assert (left(), parked(), open_transactions()) == (1, [], [])
    assert events(logged) == [UNREACHABLE]


def test_a_broker_that_is_back_gets_one_message_then_all(a_relay: ARelay, logged: Logged) -> None:
    """A probe: a broker that just came up is not hit by a full window first."""
    put_many(range(1, 301), task=WEBHOOKS_DELIVER)
    publisher = FakePublisher()
    publisher.is_away = True
    relay = a_relay(publisher)
    assert relay.relay_once() == 0
    publisher.is_away = False
    drain(relay)
    assert [len(window) for window in publisher.windows] == [1, 299]
    assert events(logged) == [UNREACHABLE, "broker is back"]


def test_what_was_acked_is_deleted_even_when_the_window_fails(a_relay: ARelay) -> None:
    """The rest stays, for nobody knows whether it arrived."""
    put_many(range(1, 11), task=WEBHOOKS_DELIVER)
    relay = a_relay(FakePublisher(fails))
    assert relay.relay_once() == 5
    assert (left(), parked(), relay.is_waiting) == (5, [], True)


def test_an_outage_of_one_window_spares_the_other_queues_theirs(a_relay: ARelay) -> None:
    """They share the connection: trying each in turn would take a deadline each."""
    put(1)
    put(1, task=WEBHOOKS_DELIVER)
    publisher = FakePublisher(fails)
    assert a_relay(publisher).relay_once() == 0
    assert len(publisher.windows) == 1


def test_a_relay_that_is_asked_to_stop_begins_no_window(a_relay: ARelay) -> None:
    """Between two queues, and after a connection that took long."""
    put(1)
    put(1, task=WEBHOOKS_DELIVER)
    publisher = FakePublisher()
    relay = a_relay(publisher, stopping=lambda: len(publisher.windows) == 1)
    assert relay.relay_once() == 1
    assert left() == 1


def test_a_broker_that_swallows_everything_is_an_outage_after_the_deadline(
    a_relay: ARelay, fragile: str, node: RabbitNode, logged: Logged
) -> None:
    """Frozen in the middle of its life: no confirm comes, and no new connection either."""
    relay = a_relay(fragile)
    put(1)
    relay.relay_once()
    node.pause()
    try:
        put_many(range(2, 302), task=WEBHOOKS_DELIVER)
        took = timed(relay.relay_once)
        assert WINDOW_TIME - 0.5 < took < WINDOW_TIME + GRACE
        assert relay.is_waiting
        wait_until(lambda: not relay.is_waiting, FIRST_WAIT + GRACE, "the end of the pause")
        assert timed(relay.relay_once) < WINDOW_TIME + GRACE  # Kombu's own connect() would take 8 s
        assert (left(), parked(), open_transactions()) == (300, [], [])
    finally:
        node.resume()
    drain(relay)
    # Those of the failed window have arrived as well: at least once, never not at all.
    assert set(taken_ids(fragile, "webhooks")) == set(range(2, 302))
    assert events(logged) == [UNREACHABLE, "broker is back"]


def test_the_deadline_of_a_window_is_the_callers(fragile: str, node: RabbitNode, app: Flask) -> None:
    """Not that of the socket: a second try in a window has less time left."""
    publisher = AmqpPublisher(fragile)
    publisher.open()
    message = Envelopes(app.extensions["celery"])(TASKS[WEBHOOKS_DELIVER], [[1]], {}, (1,))
    node.pause()
    try:
        took = timed(lambda: publisher.publish([message], time.monotonic() + 0.5))
        assert 0.4 < took < 0.5 + GRACE
    finally:
        node.resume()


def test_a_memory_alarm_is_an_outage(a_relay: ARelay, fragile: str, node: RabbitNode, logged: Logged) -> None:
    """RabbitMQ then takes connections and declarations, but reads no messages."""
    relay = a_relay(fragile)
    put(1)
    relay.relay_once()
    node.ctl("set_vm_memory_high_watermark", "0.0000001")
    try:
        put_many(range(2, 252))
        assert timed(relay.relay_once) < WINDOW_TIME + GRACE
        assert relay.is_waiting
        wait_until(lambda: not relay.is_waiting, FIRST_WAIT + GRACE, "the end of the pause")
        assert timed(relay.relay_once) < WINDOW_TIME + GRACE
        assert relay.is_waiting
        assert (left(), parked(), open_transactions()) == (250, [], [])
    finally:
        node.ctl("set_vm_memory_high_watermark", "0.4")
    drain(relay)
    assert set(taken_ids(fragile)) == set(range(1, 252))
    assert events(logged) == [UNREACHABLE, "broker is back"]


def test_a_connection_lost_while_idle_costs_no_window(a_relay: ARelay, fragile: str, node: RabbitNode, logged: Logged) -> None:
    """The broker said farewell; the relay hears it before it claims anything."""
    publisher = AmqpPublisher(fragile)
    relay = a_relay(publisher)
    put(1)
    assert relay.relay_once() == 1
    connection = publisher._connection
    node.ctl("close_all_connections", "--global", "test")
    wait_until(lambda: select.select([connection.transport.sock], [], [], 0)[0], 10, "the farewell")  # type: ignore[union-attr]
    put(2)
    assert relay.relay_once() == 1
    assert publisher._connection is not connection
    assert taken_ids(fragile) == [1, 2]
    assert logged() == []


@pytest.mark.parametrize("moment", ["before the first byte", "between publish and confirm"])
def test_a_broker_killed_in_the_middle_of_a_window(
    a_relay: ARelay, fragile: str, node: RabbitNode, logged: Logged, moment: str
) -> None:
    """What was not confirmed stays; after the restart the relay finds or makes its queues and goes on."""
    publisher = AmqpPublisher(fragile)
    relay = a_relay(publisher)
    put(1)
    relay.relay_once()
    send = publisher._send

    def killed(*arguments: Any) -> None:
        if moment == "between publish and confirm":
            send(*arguments)
        node.kill()
        send(*arguments)

    publisher._send = killed  # type: ignore[method-assign]
    put_many(range(2, 1002), task=WEBHOOKS_DELIVER)
    try:
        relay.relay_once()
        publisher._send = send  # type: ignore[method-assign]
        assert (parked(), open_transactions(), relay.is_waiting) == ([], [], True)
        assert left() > 0
        waited = timed(relay.relay_once)
        assert waited < GRACE
    finally:
        node.start()
    drain(relay)
    assert events(logged) == [UNREACHABLE, "broker is back"]


def test_a_relay_process_outlives_an_outage_with_one_line(
    processes: Processes, fragile: str, node: RabbitNode, app: Any
) -> None:
    """As an operator sees it: one line when the broker goes, one when it is back, and nothing open meanwhile."""
    relay = processes.relay(CELERY_BROKER_URL=fragile).wait_ready()
    with app.app_context():
        put(1)
        wait_until(lambda: left() == 0, 20, "the first message to leave")
        node.kill()
        try:
            put_many(range(2, 102))
            relay.wait_for_line(UNREACHABLE)
            quiet = time.monotonic() + 2  # several tries fail meanwhile
            wait_until(lambda: time.monotonic() > quiet and not open_transactions(), 10, "some tries")
        finally:
            node.start()
        wait_until(lambda: left() == 0, 30, "everything to leave")
    relay.wait_for_line("broker is back")
    assert relay.text.count(UNREACHABLE) == 1
    assert relay.text.count("broker is back") == 1
    assert set(range(2, 102)) <= {one for message in take(fragile) for one in message.ids}
    assert relay.stop() == 0
