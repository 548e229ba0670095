"""A queue that refuses messages (nacks): that queue waits, and nobody else."""

from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import connect, taken_ids
from tests.outbox.fakes import FakePublisher, nacks
from tests.outbox.rows import left, open_transactions, parked, put, put_many
from tests.servers.waiting import wait_until
from tests.sql import one


def a_full_queue(url: str, name: str, room: int) -> None:
    """Declare a queue that refuses what is more than it has room for."""
    arguments = {"x-max-length": room, "x-overflow": "reject-publish"}
    with connect(url) as connection:
        connection.default_channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)


def test_what_a_full_queue_refuses_waits_and_other_queues_go_on(a_relay: ARelay, broker: str, logged: Logged) -> None:
    """Nothing is parked, nothing is counted; with room again everything leaves."""
    a_full_queue(broker, "webhooks", room=2)
    relay = a_relay(broker)
    put_many(range(1, 11), task=WEBHOOKS_DELIVER)
    put(1)
    assert relay.relay_once() == 2 + 1
    assert (left(), parked(), relay.is_waiting, open_transactions()) == (8, [], False, [])

    put(2)
    assert relay.relay_once() == 1
    assert taken_ids(broker, "orders") == [1, 2]

    received: list[int] = []

    def drained() -> bool:
        received.extend(taken_ids(broker, "webhooks"))
        relay.relay_once()
        return left() == 0

    wait_until(drained, 20, "the refused messages to leave")
    received += taken_ids(broker, "webhooks")
    assert sorted(received) == list(range(1, 11))
    refused = [line for line in logged() if "refuses" in line["event"]]
    assert refused[0]["queue"] == "webhooks"
    assert refused[0]["nacked"] == 8
    # The queue fills again while it drains: each time is a refusal of its own, and each is told to be over.
    assert len(refused) == len([line for line in logged() if "takes messages again" in line["event"]])


def test_while_a_queue_refuses_one_message_at_a_time_tries(a_relay: ARelay, logged: Logged) -> None:
    """A probe, not a window; one line for all of it."""
    put_many(range(1, 301), task=WEBHOOKS_DELIVER)
    publisher = FakePublisher(nacks, nacks, nacks)
    relay = a_relay(publisher)
    wait_until(lambda: relay.relay_once() and left() == 0, 20, "the end of the refusals")
    assert [len(window) for window in publisher.windows] == [300, 1, 1, 1, 299]
    assert [line["event"] for line in logged()] == [
        "queue refuses messages, they wait in the outbox",
        "queue takes messages again",
    ]


def test_a_queue_that_waits_is_not_even_claimed(a_relay: ARelay) -> None:
    """No transaction, no lock, while its breaker is open."""
    put(1, task=WEBHOOKS_DELIVER)
    publisher = FakePublisher(nacks)
    relay = a_relay(publisher)
    assert relay.relay_once() == 0
    before = one("SELECT xmin::text FROM outbox")
    assert relay.relay_once() == 0
    assert len(publisher.windows) == 1
    assert one("SELECT xmin::text FROM outbox") == before


def test_an_ack_beside_nacks_deletes_its_row(a_relay: ARelay) -> None:
    """Each message has its own fate."""

    def every_other(window: object) -> object:
        receipt = nacks(window[::2])  # type: ignore[index]
        receipt.acked = list(window[1::2])  # type: ignore[index]
        return receipt

    put(1, 2, 3, 4, task=WEBHOOKS_DELIVER)
    assert a_relay(FakePublisher(every_other)).relay_once() == 2  # type: ignore[arg-type]
    assert sorted(row for row in one("SELECT array_agg(subject_id) FROM outbox")) == [1, 3]
