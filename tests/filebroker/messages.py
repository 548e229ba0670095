"""Messages put into the file broker and taken out again."""

import json
from pathlib import Path
from typing import Any

from kombu import Connection

from orderapp import filebroker


def a_connection(url: str) -> Connection:
    """Connect the way worker.py and outbox/broker.py do."""
    return Connection("filesystem://", transport_options=filebroker.transport_options(url))


def put(channel: Any, *bodies: Any, queue: str = "orders") -> None:
    """Publish to the default exchange, where the routing key is the queue's name."""
    for body in bodies:
        message = channel.prepare_message(json.dumps(body), content_type="application/json", content_encoding="utf-8")
        channel.basic_publish(message, exchange="", routing_key=queue)


def get(channel: Any, queue: str = "orders") -> Any:
    """Take the next message; None when there is none."""
    message = channel.basic_get(queue)
    if message is None:
        return None
    message.ack()
    return message.payload


def files(folder: Path, queue: str = "orders") -> list[Path]:
    """Return the files that wait in a queue, as they sort."""
    return sorted((folder / "messages" / queue).glob("*"))
