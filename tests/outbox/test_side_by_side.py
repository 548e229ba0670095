"""Several relays at once: together they publish everything, and at rest nothing twice."""

from flask import Flask

from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay
from tests.outbox.consumer import taken_ids
from tests.outbox.rows import left, put_many
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until
from tests.threads import at_once


def test_relays_in_threads_share_the_work(a_relay: ARelay, any_broker: str, app: Flask) -> None:
    """Each row is claimed by one of them; nobody waits for another."""
    put_many(range(1, 10_001))
    put_many(range(1, 101), task=WEBHOOKS_DELIVER)
    relays = [a_relay(any_broker) for _ in range(4)]

    def drain(relay: object) -> int:
        return sum(iter(relay.relay_once, 0))  # type: ignore[attr-defined]

    shares = at_once(app, *[lambda relay=relay: drain(relay) for relay in relays])

    assert sum(shares) == 10_100
    assert sum(share > 0 for share in shares) > 1
    assert left() == 0
    assert taken_ids(any_broker) == list(range(1, 10_001))
    assert taken_ids(any_broker, "webhooks") == list(range(1, 101))


def test_relay_processes_share_the_work(processes: Processes, broker: str, app: Flask) -> None:
    """As an operator starts them, while rows keep coming."""
    relays = [processes.relay() for _ in range(2)]
    for relay in relays:
        relay.wait_ready()
    with app.app_context():
        for start in range(1, 3001, 100):
            put_many(range(start, start + 100), task=WEBHOOKS_DELIVER)
    wait_until(lambda: left() == 0, 30, "an empty outbox")
    assert [relay.stop() for relay in relays] == [0, 0]
    assert taken_ids(broker, "webhooks") == list(range(1, 3001))
