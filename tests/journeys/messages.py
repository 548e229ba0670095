"""The broker as an outsider sees it: any bytes into any queue, and what lies in the queues."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import amqp
import orjson

# Seconds for one answer of a broker on this machine.
PATIENCE = 10


class Messages:
    """Talks to one virtual host; every call opens a connection of its own, for the test may kill the broker in between."""

    def __init__(self, url: str) -> None:
        """Remember the URL."""
        self.url = url

    def send(self, task: str, *args: Any, task_id: str | None = None, **changes: Any) -> str:
        """Publish a task message by Celery's protocol 2, as the relay does; returns the task id.

        ``changes`` may replace ``kwargs``, ``embed``, single ``headers`` and any property of the message.
        """
        task_id = task_id or str(uuid4())
        body = [list(args), changes.pop("kwargs", {}), changes.pop("embed", {})]
        headers = {"task": task, "id": task_id, "root_id": task_id, "lang": "py"} | changes.pop("headers", {})
        queue = changes.pop("queue", "maintenance" if task.endswith(".rescue") else task.partition(".")[0])
        self.publish(queue, orjson.dumps(body), headers, correlation_id=task_id, **changes)
        return task_id

    def publish(self, queue: str, body: bytes, headers: dict[str, Any] | None = None, **properties: Any) -> None:
        """Publish these bytes and wait until the broker has them."""
        everything = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2} | properties
        with self._channel() as channel:
            channel.confirm_select()
            message = amqp.Message(body, application_headers=headers or {}, **everything)
            channel.basic_publish_confirm(message, routing_key=queue, mandatory=True, confirm_timeout=PATIENCE)

    def waiting(self, queue: str) -> int:
        """Return how many messages wait in the queue; those that a worker holds are not counted."""
        with self._channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)

    def take(self, queue: str) -> list[amqp.Message]:
        """Take out all messages that wait in the queue."""
        with self._channel() as channel:
            return list(iter(lambda: channel.basic_get(queue, no_ack=True), None))

    def purge(self, queue: str) -> int:
        """Throw away what waits in the queue; returns how many messages."""
        with self._channel() as channel:
            return int(channel.queue_purge(queue))

    def delete(self, *queues: str) -> int:
        """Delete queues with what is in them; returns how many messages went with them."""
        with self._channel() as channel:
            return sum(channel.queue_delete(queue) for queue in queues)

    @contextmanager
    def _channel(self) -> Iterator[amqp.Channel]:
        url = urlsplit(self.url)
        with amqp.Connection(
            f"{url.hostname}:{url.port}",
            userid=unquote(url.username or "guest"),
            password=unquote(url.password or "guest"),
            virtual_host=unquote(url.path.removeprefix("/")) or "/",
            connect_timeout=PATIENCE,
            read_timeout=PATIENCE,
        ) as connection:
            connection.connect()
            yield connection.channel()
