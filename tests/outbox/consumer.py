"""A consumer that is not ours: Kombu reads what the relay has published."""

from typing import Any, NamedTuple

from kombu import Connection, Queue

from orderapp import filebroker


class Taken(NamedTuple):
    """A message as a Celery worker would see it."""

    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    headers: dict[str, Any]
    properties: dict[str, Any]
    content_type: str
    redelivered: bool

    @property
    def ids(self) -> list[int]:
        """Return the subject ids."""
        return list(self.args[0])


def connect(url: str) -> Connection:
    """Connect as anybody would."""
    return Connection(
        "filesystem://" if url.startswith("filesystem") else url, transport_options=filebroker.transport_options(url)
    )


def take(url: str, queue: str = "orders") -> list[Taken]:
    """Take all that waits in a queue."""
    with connect(url) as connection:
        channel: Any = connection.default_channel
        bound = Queue(queue)(channel)
        messages: list[Any] = []
        while (message := bound.get(no_ack=True, accept=["json"])) is not None:
            messages.append(message)
            if not url.startswith("filesystem"):
                messages += _stream(channel, queue)
        return [_read(message) for message in messages]


def _stream(channel: Any, queue: str) -> list[Any]:
    """Take what a queue says it holds, without a round trip for each: one by one, 20,000 take a minute."""
    messages: list[Any] = []
    count = channel.queue_declare(queue, passive=True).message_count
    tag = channel.basic_consume(queue, no_ack=True, callback=lambda raw: messages.append(channel.message_to_python(raw)))
    while len(messages) < count:
        channel.connection.drain_events(timeout=10)
    channel.basic_cancel(tag)
    return messages


def taken_ids(url: str, queue: str = "orders") -> list[int]:
    """Take all that waits in a queue; returns the ids in sorted order, an id as often as it came."""
    return sorted(one for message in take(url, queue) for one in message.ids)


def _read(message: Any) -> Taken:
    args, kwargs, _embed = message.payload
    return Taken(
        message.headers["task"],
        args,
        kwargs,
        message.headers,
        message.properties,
        message.content_type,
        bool(message.delivery_info.get("redelivered")),
    )
