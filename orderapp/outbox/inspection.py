"""RabbitMQ looked at for the doctor: its version, its queues beside queues.py, and whether it confirms what is published.

Nothing is left behind: a queue that is missing stays missing, and the one message that is published finds no queue.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import amqp
from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from kombu import Exchange, Queue

from orderapp import queues
from orderapp.outbox import broker


@dataclass(frozen=True)
class Server:
    """What answers at the broker's URL."""

    product: str
    version: str


@dataclass(frozen=True)
class QueueState:
    """A queue or exchange of ours: whether it is there, how it differs, and how much waits for how many consumers."""

    name: str
    exists: bool
    difference: str | None = None
    messages: int = 0
    consumers: int = 0


class NoConfirmError(Exception):
    """The broker took a message and did not say that it has it; the text tells what it said instead."""


def server(broker_url: str) -> Server:
    """Return what is there. Raises BrokerOutageError."""
    with broker.connected(broker_url) as connection:
        said = connection.server_properties
        return Server(str(said.get("product", "unknown")), str(said.get("version", "")))


def queue_states(broker_url: str) -> Iterator[QueueState]:
    """Yield the state of each queue of ours. Raises BrokerOutageError."""
    with broker.connected(broker_url) as connection:
        for queue in [*queues.work_queues(), queues.dead_queue()]:
            yield _state(connection, queue)


def _state(connection: Any, queue: Queue) -> QueueState:
    try:
        found = connection.channel().queue_declare(queue.name, passive=True)
    except NotFound:
        return QueueState(queue.name, exists=False)
    return QueueState(
        queue.name,
        exists=True,
        difference=_difference(connection, queue),
        messages=int(found.message_count),
        consumers=int(found.consumer_count),
    )


def _difference(connection: Any, queue: Queue | Exchange) -> str | None:
    """Return the broker's own words; only it can compare. Declared again with equal arguments, a queue stays as it is."""
    try:
        queue.bind(connection.channel()).declare()
    except PreconditionFailed as error:
        return str(error.reply_text)
    except AccessRefused:  # a worker's user need not be allowed to declare; what it cannot ask is no fault
        return None
    return None


def exchange_state(broker_url: str, name: str) -> QueueState:
    """Return the state of the exchange for other services. Raises BrokerOutageError."""
    with broker.connected(broker_url) as connection:
        try:
            connection.channel().exchange_declare(name, "topic", passive=True)
        except NotFound:
            return QueueState(name, exists=False)
        return QueueState(name, exists=True, difference=_difference(connection, queues.events_exchange(name)))


def time_to_confirm(broker_url: str) -> float:
    """Return the seconds until the broker has confirmed a message. Raises NoConfirmError, BrokerOutageError.

    The message has no queue to go to and must be returned first: the relay relies on both. A broker that is low on memory
    or disk lets nobody publish; asked to, it says so.
    """
    blocked: list[str] = []
    capabilities = {"capabilities": {"connection.blocked": True}}
    with broker.connected(broker_url, client_properties=capabilities, on_blocked=blocked.append) as connection:
        channel: Any = connection.channel()
        channel.confirm_select()
        returned, answers = list[Any](), list[str]()
        channel.events["basic_return"].add(lambda *content: returned.append(content))
        channel.events["basic_ack"].add(lambda *_tag: answers.append("ack"))
        channel.events["basic_nack"].add(lambda *_tag: answers.append("nack"))
        begin = time.monotonic()
        channel.basic_publish(amqp.Message("{}"), routing_key=f"orderapp.doctor.{uuid4()}", mandatory=True)
        while not answers:
            left = begin + broker.SOCKET_TIMEOUT - time.monotonic()
            if left <= 0 or blocked:
                raise NoConfirmError(_silence(blocked))
            _drain(connection, left)
        if answers == ["nack"]:
            raise NoConfirmError("a message was refused")
        if not returned:
            raise NoConfirmError("a message without a queue was confirmed and not returned")
        return time.monotonic() - begin


def _drain(connection: Any, seconds: float) -> None:
    try:
        connection.drain_events(timeout=seconds)
    except TimeoutError:
        return  # the caller looks at the clock


def _silence(blocked: list[str]) -> str:
    return "it blocks publishers: low on memory or disk" if blocked else f"no confirm within {broker.SOCKET_TIMEOUT} s"
