"""The two publishers: RabbitMQ with pipelined confirms, and the files of ``make run``."""

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import amqp
import structlog
from amqp.exceptions import AccessRefused, AMQPError, PreconditionFailed
from amqp.serialization import dumps
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from orderapp import failpoints, filebroker, queues
from orderapp.outbox import frames
from orderapp.outbox.receipts import BrokerOutageError, InFlight, Message, Publisher, Receipt, UnknownConfirmError

log = structlog.get_logger(__name__)

# Messages in flight at once: confirms then arrive as fast as the broker's disk, and a failed window repeats few.
MOST_IN_FLIGHT = 1000

# Files that may wait in one queue's folder: looking for the next one costs 14 ms at 20,000 files.
MOST_FILES = 500

# Seconds for a connection attempt and for one write: a black-holed broker is an outage after that.
SOCKET_TIMEOUT = 3

# py-amqp lets the kernel end a connection whose data nobody took for 1 s; a broker under load stops reading for longer.
# The option is Linux's own.
_PATIENT = {socket.TCP_USER_TIMEOUT: SOCKET_TIMEOUT * 1000} if hasattr(socket, "TCP_USER_TIMEOUT") else {}

# Bytes gathered into one write: some 70 messages, a fifth of what a loopback socket takes without blocking.
WRITE_SIZE = 64 * 1024

# What says "the broker is away" rather than "this message is wrong".
OUTAGES = (OSError, AMQPError, OperationalError, UnknownConfirmError)

# Whose failpoints these are.
ACT = "outbox.relaying:publish"


def publisher_for(broker_url: str) -> Publisher:
    """Return the publisher for this URL; it connects when first used."""
    return FilePublisher(broker_url) if broker_url.startswith("filesystem://") else AmqpPublisher(broker_url)


def connection_to(broker_url: str, **more: Any) -> Connection:
    """Return how to reach RabbitMQ; nothing is opened. Every step of it ends within seconds. ``more`` is for py-amqp."""
    # Without the blocked notification py-amqp would look for one before every publish; a blocked broker sends no
    # confirm, and that is what counts.
    options = {
        "read_timeout": SOCKET_TIMEOUT,
        "write_timeout": SOCKET_TIMEOUT,
        "client_properties": {"capabilities": {}},
        "socket_settings": _PATIENT,
    } | more
    return Connection(broker_url, connect_timeout=SOCKET_TIMEOUT, heartbeat=0, transport_options=options)


@contextmanager
def connected(broker_url: str, **more: Any) -> Iterator[Any]:
    """Give a connection for a question or two. Raises BrokerOutageError, also for what goes wrong inside the block."""
    connection: Any = None
    try:
        connection = _reached(connection_to(broker_url, **more))
        yield connection
    except OUTAGES as error:
        raise BrokerOutageError(f"{type(error).__name__}: {error}") from error
    finally:
        if connection is not None:
            connection.collect()  # without a handshake: nobody waits for a broker that stopped answering


def _reached(broker: Connection) -> Any:
    """Return a connection to the first node that takes one. Raises the last one's error."""
    for _ in broker.alt[1:]:
        with suppress(*OUTAGES):
            return _connect(broker)
    return _connect(broker)


def _connect(broker: Connection) -> Any:
    # Not broker.connect(): it tries twice with a sleep between, and a relay that is asked to stop must not sit in there 8 s.
    try:
        return broker.transport.establish_connection()
    finally:
        broker.maybe_switch_next()  # of the URL's nodes: one that is cut off from its cluster still takes connections


class AmqpPublisher:
    """Publishes with many messages in flight and matches each confirm to its message by delivery tag.

    py-amqp's own confirm mode waits after every message and takes a late confirm for the current one. On any doubt the
    connection is dropped: a new channel counts its tags anew, so that no confirm of the old one can be mistaken.
    """

    def __init__(self, broker_url: str) -> None:
        self._broker = connection_to(broker_url)
        self._connection: amqp.Connection | None = None
        self._channel: Any = None
        self._in_flight = InFlight(first_tag=1)
        self._shared: dict[str, bytes] = {}
        self._wrong: set[str] = set()

    def open(self) -> None:
        """Connect, declare the queues and switch confirms on. Raises BrokerOutageError."""
        with self._dropping_in_doubt():
            if self._connection is not None and not self._is_dead(self._connection):
                return
            self.close()
            self._connection = _connect(self._broker)
            self.declare()
            self._channel = self._connection.channel()
            self._channel.confirm_select()
            self._in_flight = InFlight(first_tag=1)
            self._channel.events["basic_ack"].add(self._on_ack)
            self._channel.events["basic_nack"].add(self._on_nack)
            self._channel.events["basic_return"].add(self._on_return)

    def room(self, queue: str) -> int:  # noqa: ARG002 - RabbitMQ's queues have no limit of ours
        """Return how many messages may be in flight."""
        return MOST_IN_FLIGHT

    def declare(self) -> None:
        """Create the queues that are missing; one that exists with other arguments is named and used as it is."""
        with self._dropping_in_doubt():
            for queue in [*queues.work_queues(), queues.dead_queue()]:
                self._declare(queue)

    def _declare(self, queue: Queue) -> None:
        channel: Any = self._open_connection().channel()  # one each: a refused declaration closes its channel
        try:
            queue.bind(channel).declare()
            self._wrong.discard(queue.name)
            channel.close()
        except PreconditionFailed as error:
            if queue.name not in self._wrong:  # said once, not at every new connection
                self._wrong.add(queue.name)
                log.error("queue exists with other arguments", queue=queue.name, fault=str(error))  # noqa: TRY400

    def _open_connection(self) -> amqp.Connection:
        if self._connection is None:
            raise BrokerOutageError("not connected")
        return self._connection

    def publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Publish all, then wait for the confirms; what is still open at the deadline counts as unknown."""
        in_flight = self._in_flight = InFlight(self._in_flight.next_tag)
        try:
            with self._dropping_in_doubt():
                connection = self._open_connection()
                failpoints.passing(ACT, "claimed", self._cut)
                self._send(connection, messages, deadline)
                failpoints.passing(ACT, "sent", self._cut)
                while in_flight:
                    connection.drain_events(timeout=_left(deadline))
                failpoints.passing(ACT, "confirmed", self._cut)
        except BrokerOutageError as error:
            in_flight.receipt.outage = str(error)
        return in_flight.receipt

    def _send(self, connection: amqp.Connection, messages: Sequence[Message], deadline: float) -> None:
        channel, largest, transport = self._channel.channel_id, connection.frame_max, connection.transport
        waiting = bytearray()
        for message in messages:
            self._in_flight.add(message)
            headers = (self._entries(message.shared) if message.shared else b"") + frames.table_entries(message.own)
            properties = frames.properties(message.id, headers)
            waiting += frames.publish(channel, message.queue, properties, message.body, largest, exchange=message.exchange)
            if len(waiting) >= WRITE_SIZE or message is messages[-1]:
                with transport.having_timeout(_left(deadline)):
                    transport.write(waiting)
                waiting = bytearray()

    def _entries(self, shared: Any) -> bytes:
        """Return the headers that all messages of a task share, encoded once: they are twenty."""
        task = shared["task"]
        if task not in self._shared:
            size_of_length = 4
            self._shared[task] = dumps("F", (dict(shared),))[size_of_length:]
        return self._shared[task]

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._in_flight.ack(tag, multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._in_flight.nack(tag, multiple)

    def _on_return(self, reason: Exception, _exchange: str, _routing_key: str, content: Any) -> None:
        self._in_flight.come_back(content.properties.get("message_id"), str(reason))

    def _is_dead(self, connection: amqp.Connection) -> bool:
        """Tell whether the broker said farewell while we were idle; then the window would fail for nothing."""
        while select.select([connection.transport.sock], [], [], 0)[0]:
            try:
                connection.drain_events(timeout=0.01)
            except TimeoutError:
                return False
            except OUTAGES:
                return True
        return False

    @contextmanager
    def _dropping_in_doubt(self) -> Iterator[None]:
        """Turn whatever says that the broker is away into BrokerOutageError, and drop the connection."""
        try:
            yield
        except OUTAGES as error:
            self.close()
            raise BrokerOutageError(f"{type(error).__name__}: {error}") from error
        except BrokerOutageError:
            self.close()
            raise

    def _cut(self) -> None:
        self._open_connection().transport.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Drop the connection without a handshake: a black-holed broker would not answer it."""
        if self._connection is not None:
            self._connection.collect()
        self._connection = None
        self._channel = None


class ExchangePublisher(AmqpPublisher):
    """Publishes to one topic exchange, whoever has bound a queue to it."""

    def __init__(self, broker_url: str, exchange: str) -> None:
        super().__init__(broker_url)
        self._exchange = queues.events_exchange(exchange)

    def declare(self) -> None:
        """Create the exchange if it is missing; one that is of another kind, or not ours to create, is used as it is."""
        with self._dropping_in_doubt():
            channel: Any = self._open_connection().channel()  # of its own: a refused declaration closes it
            try:
                self._exchange.bind(channel).declare()
                channel.close()
            except (AccessRefused, PreconditionFailed) as error:
                if self._exchange.name not in self._wrong:
                    self._wrong.add(self._exchange.name)
                    log.error("exchange cannot be declared", exchange=self._exchange.name, fault=str(error))  # noqa: TRY400


class FilePublisher:
    """Publishes into the files of ``make run``; a file that was renamed into place is delivered."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._connection = Connection("filesystem://", transport_options=filebroker.transport_options(broker_url))

    def open(self) -> None:
        """Do nothing: files need no connection."""

    def room(self, queue: str) -> int:
        """Return how many files may be added without slowing the consumers down. Raises BrokerOutageError."""
        try:
            return max(0, MOST_FILES - filebroker.waiting(self._url, queue))
        except OSError as error:
            raise BrokerOutageError(f"{type(error).__name__}: {error}") from error

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


def _left(deadline: float) -> float:
    """Return the seconds left. Raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no confirm before the deadline")
    return left
