"""The two publishers: RabbitMQ with pipelined confirms, and the files of ``make run``.

Both take a window of messages and say of each what is known: acknowledged, refused, returned, or nothing. Only an
acknowledged message may lose its outbox row.
"""

import select
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import amqp
import orjson
import structlog
from amqp.exceptions import AMQPError, PreconditionFailed
from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError
from uuid_utils.compat import uuid7

from orderapp import filebroker, queues

log = structlog.get_logger(__name__)

# Messages in flight at once: confirms then arrive as fast as the broker's disk, and a failed window repeats few.
MOST_IN_FLIGHT = 1000

# Files that may wait in one queue's folder: looking for the next one costs 14 ms at 20,000 files.
MOST_FILES = 500

# Seconds for a connection attempt and for one write: a black-holed broker is an outage after that.
SOCKET_TIMEOUT = 3

# What says "the broker is away" rather than "this message is wrong".
OUTAGES = (OSError, AMQPError, OperationalError)


class BrokerOutageError(Exception):
    """The broker cannot be reached now; no message is to blame."""


@dataclass(frozen=True)
class Message:
    """A Celery task message (protocol 2) and the outbox rows that it carries."""

    id: str
    queue: str
    body: bytes
    headers: dict[str, Any]
    row_ids: tuple[int, ...]


@dataclass
class Receipt:
    """What is known of a window's messages afterwards; what is in none of these may or may not have arrived."""

    acked: list[Message] = field(default_factory=list)
    nacked: list[Message] = field(default_factory=list)
    returned: list[tuple[Message, str]] = field(default_factory=list)
    outage: str | None = None


class Publisher(Protocol):
    """What the relay needs of a broker."""

    def open(self) -> None:
        """Connect if need be. Raises BrokerOutageError."""

    def room(self, queue: str) -> int:
        """Return how many messages may be published to this queue now."""

    def declare(self) -> None:
        """Create the queues that are missing. Raises BrokerOutageError."""

    def publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Publish, and wait for the confirms until the deadline (``time.monotonic()``)."""

    def close(self) -> None:
        """Drop the connection."""


def publisher_for(broker_url: str) -> Publisher:
    """Return the publisher for this URL; it connects when first used."""
    return FilePublisher(broker_url) if broker_url.startswith("filesystem://") else AmqpPublisher(broker_url)


def build_message(
    celery: Celery, task: queues.Task, args: list[Any], headers: dict[str, Any], row_ids: tuple[int, ...]
) -> Message:
    """Return the message by Celery's own protocol; argsrepr and origin are given because computing them costs 100 us."""
    task_id = str(uuid7())
    shown = f"({len(row_ids)} ids, {args[0][0]}..{args[0][-1]})" if task.batch else "(...)"
    built = celery.amqp.as_task_v2(
        task_id, task.name, args=tuple(args), argsrepr=shown, kwargsrepr="{}", origin="orderapp-relay"
    )
    return Message(task_id, task.queue, orjson.dumps(built.body), {**headers, **built.headers}, row_ids)


class AmqpPublisher:
    """Publishes with many messages in flight and matches each confirm to its message by delivery tag.

    py-amqp's own confirm mode waits after every message (1,900 rows/s instead of 16,000) and takes a late confirm for
    the current one. On any doubt the connection is dropped: a new channel counts its tags anew, so that no confirm of
    the old one can be mistaken.
    """

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._connection: Connection | None = None
        self._channel: Any = None
        self._tag = 0
        self._pending: dict[int, Message] = {}
        self._receipt = Receipt()

    def open(self) -> None:
        """Connect, declare the queues and switch confirms on. Raises BrokerOutageError."""
        try:
            if self._connection is not None and not self._is_dead():
                return
            self.close()
            # Without the blocked notification py-amqp would look for one before every publish; a blocked broker sends no
            # confirm, and that is what counts.
            options = {
                "read_timeout": SOCKET_TIMEOUT,
                "write_timeout": SOCKET_TIMEOUT,
                "client_properties": {"capabilities": {}},
            }
            connection = Connection(self._url, connect_timeout=SOCKET_TIMEOUT, heartbeat=0, transport_options=options)
            connection.connect()
            self._connection = connection
            self.declare()
            self._channel = connection.channel()
            self._channel.confirm_select()
        except OUTAGES as error:
            self.close()
            raise BrokerOutageError(f"{type(error).__name__}: {error}") from error
        self._tag = 0
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)

    def room(self, queue: str) -> int:  # noqa: ARG002 - RabbitMQ's queues have no limit of ours
        """Return how many messages may be in flight."""
        return MOST_IN_FLIGHT

    def declare(self) -> None:
        """Create the queues that are missing; one that exists with other arguments is named and used as it is."""
        if self._connection is None:
            raise BrokerOutageError("not connected")
        for queue in [*queues.work_queues(), queues.dead_queue()]:
            try:
                _declare(queue, self._connection)
            except PreconditionFailed as error:
                log.error("queue exists with other arguments", queue=queue.name, fault=str(error))  # noqa: TRY400
            except OUTAGES as error:
                self.close()
                raise BrokerOutageError(f"{type(error).__name__}: {error}") from error

    def publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Publish all, then wait for the confirms; what is still open at the deadline counts as unknown."""
        receipt = self._receipt = Receipt()
        self._pending = {}
        try:
            for message in messages:
                self._send(message, deadline)
            while self._pending:
                self._connection.drain_events(timeout=_left(deadline))  # type: ignore[union-attr]
        except OUTAGES as error:
            receipt.outage = f"{type(error).__name__}: {error}"
            self.close()
        return receipt

    def _send(self, message: Message, deadline: float) -> None:
        self._tag += 1
        self._pending[self._tag] = message
        content = amqp.Message(
            message.body,
            content_type="application/json",
            content_encoding="utf-8",
            delivery_mode=2,
            correlation_id=message.id,
            message_id=message.id,
            application_headers=message.headers,
        )
        self._channel.basic_publish(content, exchange="", routing_key=message.queue, mandatory=True, timeout=_left(deadline))

    def _confirmed(self, tag: int, multiple: bool) -> list[Message]:
        tags = [one for one in self._pending if one <= tag] if multiple else [tag] if tag in self._pending else []
        return [self._pending.pop(one) for one in tags]

    def _on_ack(self, tag: int, multiple: bool) -> None:
        # The broker acknowledges a message that it returned, too, right after the return.
        returned = {message.id for message, _ in self._receipt.returned}
        self._receipt.acked += [message for message in self._confirmed(tag, multiple) if message.id not in returned]

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._receipt.nacked += self._confirmed(tag, multiple)

    def _on_return(self, reason: Exception, _exchange: str, _routing_key: str, content: Any) -> None:
        message_id = content.properties.get("message_id")
        self._receipt.returned += [(one, str(reason)) for one in self._pending.values() if one.id == message_id]

    def _is_dead(self) -> bool:
        """Tell whether the broker said farewell while we were idle; then the window would fail for nothing."""
        transport = self._connection.connection.transport  # type: ignore[union-attr]
        if not select.select([transport.sock], [], [], 0)[0]:
            return False
        try:
            self._connection.drain_events(timeout=0.01)  # type: ignore[union-attr]
        except TimeoutError:
            return False
        except OUTAGES:
            return True
        return False

    def close(self) -> None:
        """Drop the connection without a handshake: a black-holed broker would not answer it."""
        if self._connection is not None and self._connection.connection is not None:
            self._connection.connection.collect()
        self._connection = None
        self._channel = None


class FilePublisher:
    """Publishes into the files of ``make run``; a file that was renamed into place is delivered."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._connection = Connection("filesystem://", transport_options=filebroker.transport_options(broker_url))

    def open(self) -> None:
        """Do nothing: files need no connection."""

    def room(self, queue: str) -> int:
        """Return how many files may be added without slowing the consumers down."""
        return max(0, MOST_FILES - filebroker.waiting(self._url, queue))

    def declare(self) -> None:
        """Do nothing: a queue is a folder that appears with its first message."""

    def publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Write one file per message; a full disk is an outage."""
        receipt = Receipt()
        try:
            producer = self._connection.Producer()
            for message in messages:
                _left(deadline)
                producer.publish(
                    message.body,
                    routing_key=message.queue,
                    content_type="application/json",
                    content_encoding="utf-8",
                    correlation_id=message.id,
                    headers=message.headers,
                )
                receipt.acked.append(message)
        except OUTAGES as error:
            receipt.outage = f"{type(error).__name__}: {error}"
        return receipt

    def close(self) -> None:
        """Forget the channel."""
        self._connection.release()


def _declare(queue: Queue, connection: Connection) -> None:
    channel: Any = connection.channel()  # one each: a refused declaration closes its channel
    try:
        queue.bind(channel).declare()
    finally:
        if channel.is_open:
            channel.close()


def _left(deadline: float) -> float:
    """Return the seconds left. Raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no confirm before the deadline")
    return left
