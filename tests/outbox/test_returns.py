"""Messages for which there is no queue: our topology is gone, not the message wrong."""

import pytest

from orderapp import queues
from orderapp.outbox.broker import AmqpPublisher
from orderapp.outbox.parking import retry_parked
from orderapp.outbox.receipts import BrokerOutageError
from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import connect, take, taken_ids
from tests.outbox.fakes import FakePublisher, fails, nacks, returns
from tests.outbox.rows import left, open_transactions, parked, put, put_many
from tests.sql import sql


def delete_queues(url: str, *names: str) -> None:
    """Delete queues behind the relay's back."""
    with connect(url) as connection:
        for name in names:
            connection.default_channel.queue_delete(name)


def test_a_queue_that_vanished_is_declared_again_and_nothing_is_lost(a_relay: ARelay, broker: str, logged: Logged) -> None:
    """With all its messages: those are the rescuer's, the ones in the window go out again."""
    relay = a_relay(broker)
    put_many(range(1, 101))
    assert relay.relay_once() == 100
    delete_queues(broker, "orders", "webhooks", "maintenance", "orderapp.dead")

    put_many(range(101, 351))
    put_many(range(1, 301), task=WEBHOOKS_DELIVER)
    assert relay.relay_once() == 550

    assert taken_ids(broker) == list(range(101, 351))
    assert taken_ids(broker, "webhooks") == list(range(1, 301))
    assert (left(), parked()) == (0, [])
    assert [line["event"] for line in logged()] == ["queue missing, declared again"]


def test_a_queue_is_declared_as_the_workers_declare_it(a_relay: ARelay, broker: str) -> None:
    """Otherwise the worker's declaration would be refused, and it could not start."""
    put(1)
    a_relay(broker).relay_once()
    with connect(broker) as connection:
        for queue in [*queues.work_queues(), queues.dead_queue()]:
            queue.bind(connection.channel()).declare()


def test_the_publisher_says_of_each_message_whether_it_came_back(broker: str, a_relay: ARelay) -> None:
    """One queue is there, the other is not."""
    publisher = AmqpPublisher(broker)
    relay = a_relay(publisher)
    publisher.open()
    delete_queues(broker, "webhooks")
    seen = []
    real = publisher.publish

    def watched(*arguments: object) -> object:
        receipt = real(*arguments)  # type: ignore[arg-type]
        seen.append((len(receipt.acked), [reason for _, reason in receipt.returned]))
        return receipt

    publisher.publish = watched  # type: ignore[assignment, method-assign]
    put(1)
    put(2, 3, task=WEBHOOKS_DELIVER)
    assert relay.relay_once() == 3
    no_route = "Basic.return: (312) NO_ROUTE"
    assert seen == [(1, []), (0, [no_route, no_route]), (2, [])]


def test_what_comes_back_after_a_successful_declaration_is_parked(a_relay: ARelay, logged: Logged) -> None:
    """Trying for ever would keep a window of each relay busy; an operator has to look."""
    put_many(range(1, 251))
    publisher = FakePublisher(_half, _half)
    relay = a_relay(publisher)
    assert relay.relay_once() == 250
    assert publisher.declared == 1
    assert [len(window) for window in publisher.windows] == [3, 2]
    assert relay.parked == 50
    reason = "returned by the broker although the queue was declared: Basic.return: (312) NO_ROUTE"
    assert parked() == [(number, reason) for number in range(201, 251)]
    assert left() == 50
    assert not relay.is_waiting
    assert [line["event"] for line in logged()] == ["queue missing, declared again", "messages parked"]


def _half(window: object) -> object:
    first, *rest = window  # type: ignore[misc, attr-defined]
    receipt = returns(rest)
    receipt.acked.append(first)
    return receipt


def test_parked_messages_leave_after_a_retry(a_relay: ARelay) -> None:
    """The operator has repaired the broker."""
    put(1)
    relay = a_relay(FakePublisher(returns, returns))
    relay.relay_once()
    retry_parked([row.id for row in sql("SELECT id FROM outbox")])
    assert relay.relay_once() == 1
    assert left() == 0


@pytest.mark.parametrize("second", [fails, nacks], ids=["outage", "nacks"])
def test_what_comes_back_and_then_meets_another_fault_stays(a_relay: ARelay, second: object) -> None:
    """It was not returned twice."""
    put(1, task=WEBHOOKS_DELIVER)
    a_relay(FakePublisher(returns, second)).relay_once()  # type: ignore[arg-type]
    assert (left(), parked()) == (1, [])


def test_a_window_that_broke_declares_nothing(a_relay: ARelay) -> None:
    """A return seen before the connection was lost is dealt with in the next window."""

    def returned_and_lost(window: object) -> object:
        receipt = returns(window)  # type: ignore[arg-type]
        receipt.outage = "OSError: gone"
        return receipt

    put(1)
    publisher = FakePublisher(returned_and_lost)  # type: ignore[arg-type]
    relay = a_relay(publisher)
    assert relay.relay_once() == 0
    assert (publisher.declared, left(), parked(), relay.is_waiting) == (0, 1, [], True)


def test_a_declaration_that_fails_is_an_outage(a_relay: ARelay) -> None:
    """What had been acknowledged before is deleted all the same."""
    put_many(range(1, 201))
    publisher = FakePublisher(_half)

    def fail() -> None:
        raise BrokerOutageError("AccessRefused: 403")

    publisher.declare = fail  # type: ignore[method-assign]
    relay = a_relay(publisher)
    assert relay.relay_once() == 100
    assert (left(), parked(), relay.is_waiting, open_transactions()) == (100, [], True, [])


def test_a_queue_that_exists_with_other_arguments_is_named_once_and_used(a_relay: ARelay, broker: str, logged: Logged) -> None:
    """Somebody made it by hand, or an older version: work goes on, and the log says what to mend."""
    with connect(broker) as connection:
        connection.default_channel.queue_declare("orders", durable=True, auto_delete=False)
    publisher = AmqpPublisher(broker)
    relay = a_relay(publisher)
    for number in (1, 2):
        put(number)
        assert relay.relay_once() == 1
        publisher.close()
    (line,) = [line for line in logged() if line["event"] == "queue exists with other arguments"]
    assert line["queue"] == "orders"
    assert "x-" in line["fault"]
    assert taken_ids(broker) == [1, 2]
    assert take(broker, "webhooks") == []
