"""The two publishers on their own: what they open, what they call an outage, and how far ahead they go."""

import errno
import time
from pathlib import Path

import pytest
from flask import Flask

from orderapp import filebroker
from orderapp.outbox.broker import MOST_FILES, AmqpPublisher, FilePublisher, publisher_for
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.receipts import BrokerOutageError, Message
from orderapp.queues import ORDERS_PROCESS, TASKS, WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import take, taken_ids
from tests.outbox.rows import left, put, put_many
from tests.servers.environment import NOBODY
from tests.servers.waiting import wait_until


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a file broker."""
    return f"filesystem://{tmp_path}/broker"


def a_message(app: Flask, number: int = 1, headers: dict[str, str] | None = None) -> Message:
    """Return a message about one order."""
    return Envelopes(app.extensions["celery"])(TASKS[ORDERS_PROCESS], [[number]], headers or {}, (number,))


def soon() -> float:
    """Return a deadline that is far enough."""
    return time.monotonic() + 10


def test_the_url_decides(url: str) -> None:
    """Nothing is connected by asking."""
    assert isinstance(publisher_for(url), FilePublisher)
    assert isinstance(publisher_for(NOBODY), AmqpPublisher)


def test_files_go_only_so_far_ahead_of_their_consumers(a_relay: ARelay, url: str) -> None:
    """Looking for the next message gets slower with every file; the rest waits in PostgreSQL."""
    put_many(range(1, MOST_FILES + 201), task=WEBHOOKS_DELIVER)
    put(1)
    relay = a_relay(url)
    assert relay.relay_once() == MOST_FILES + 1
    assert relay.relay_once() == 0
    assert filebroker.waiting(url, "webhooks") == MOST_FILES
    assert len(take(url, "webhooks")) == MOST_FILES
    assert relay.relay_once() == 200
    assert left() == 0


def test_a_full_disk_is_an_outage(a_relay: ARelay, url: str, monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """What was written before it was full has left; the rest waits, and leaves when there is room."""
    put_many(range(1, 11), task=WEBHOOKS_DELIVER)
    relay = a_relay(url)
    write, written = Path.write_text, []

    def full(path: Path, *arguments: str) -> int:
        if len(written) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        return write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        relayed = relay.relay_once()
        assert 0 < relayed < 10
        assert (left(), relay.is_waiting) == (10 - relayed, True)
    wait_until(lambda: relay.relay_once() >= 0 and left() == 0, 20, "the rest to leave")
    assert taken_ids(url, "webhooks") == list(range(1, 11))
    first, last = logged()
    assert "No space left on device" in first["reason"]
    assert last["event"] == "broker is back"


def test_a_folder_that_cannot_be_read_is_an_outage(a_relay: ARelay, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a fault of the relay."""
    put(1)
    relay = a_relay(url)

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(filebroker, "waiting", refuse)
        assert relay.relay_once() == 0
    assert (left(), relay.is_waiting) == (1, True)


def test_files_respect_the_deadline(app: Flask, url: str) -> None:
    """A disk that is very slow must not hold rows locked for long."""
    receipt = FilePublisher(url).publish([a_message(app)], time.monotonic() - 1)
    assert receipt.acked == []
    assert "deadline" in str(receipt.outage)


def test_a_publisher_without_a_connection_says_so() -> None:
    """After an outage the relay opens it first; whoever does not learns why."""
    publisher = AmqpPublisher(NOBODY)
    with pytest.raises(BrokerOutageError, match="not connected"):
        publisher.declare()


def test_a_publisher_that_lost_its_connection_reports_an_outage(app: Flask, broker: str) -> None:
    """And takes none of the messages for delivered."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    publisher.close()
    receipt = publisher.publish([a_message(app)], soon())
    assert (receipt.acked, receipt.outage) == ([], "not connected")


def test_the_deadline_of_a_window_is_kept_and_costs_the_connection(app: Flask, broker: str) -> None:
    """A confirm that comes later must not be taken for one of the next window."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    receipt = publisher.publish([a_message(app)], time.monotonic() - 1)
    assert "deadline" in str(receipt.outage)
    assert publisher._connection is None
    publisher.open()
    message = a_message(app, 2)
    assert publisher.publish([message], soon()).acked == [message]
    publisher.close()


def test_a_url_of_several_brokers_is_tried_in_turn(app: Flask, broker: str) -> None:
    """A cluster: the first one is down, the second takes the message."""
    publisher = AmqpPublisher(f"{NOBODY};{broker}")
    with pytest.raises(BrokerOutageError, match="refused"):
        publisher.open()
    publisher.open()
    message = a_message(app)
    assert publisher.publish([message], soon()).acked == [message]
    publisher.close()
    assert taken_ids(broker) == [1]


def test_a_publisher_is_opened_once(broker: str) -> None:
    """A window does not pay for a connection."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    first = publisher._connection
    publisher.open()
    assert publisher._connection is first
    publisher.close()


def test_a_wrong_password_is_an_outage_that_names_itself(broker: str) -> None:
    """The operator reads it in the relay's log line."""
    publisher = AmqpPublisher(broker.replace("guest:guest@", "guest:wrong@"))
    with pytest.raises(BrokerOutageError, match="AccessRefused"):
        publisher.open()


def test_headers_of_ours_reach_the_consumer(app: Flask, broker: str) -> None:
    """Also those that are no ASCII."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    publisher.publish([a_message(app, headers={"request_id": "ä€𝄞"})], soon())
    publisher.close()
    (message,) = take(broker)
    assert message.headers["request_id"] == "ä€𝄞"
