"""Rows as Celery messages (protocol 2), made by Celery's own helper once per task and filled in per message."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
import uuid_utils
from celery import Celery

from orderapp.outbox.messages import LARGEST_ARGUMENTS
from orderapp.outbox.receipts import Message
from orderapp.queues import Task

# Headers of ours travel in one AMQP frame, which may be as small as 4 KiB: request id (64) and traceparent (55) fit.
LARGEST_HEADERS = 1024

# What differs from message to message of one task; the id is the root id, too, for no task of ours starts another.
_OWN = ("id", "root_id", "argsrepr")


class BadRowError(Exception):
    """No message can be made of this row, now or later; the text tells an operator why."""


class _Form(NamedTuple):
    shared: Mapping[str, Any]
    tail: tuple[Any, ...]


class Envelopes:
    """Makes messages; the application is asked once per task, which costs a tenth of asking it per message."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._forms: dict[str, _Form] = {}

    def __call__(self, task: Task, args: Any, headers: Any, row_ids: tuple[int, ...]) -> Message:
        """Return the message. Raises BadRowError."""
        form = self._forms.get(task.name) or self._form(task)
        if not isinstance(args, list):
            raise BadRowError(f"args is no list but {type(args).__name__}")
        body = orjson.dumps((args, *form.tail))
        if len(body) > 2 * LARGEST_ARGUMENTS:  # enqueue() refuses half of it; RabbitMQ would end the connection
            raise BadRowError(f"the message would take {len(body)} bytes; store the data and send an id")
        task_id = str(uuid_utils.uuid7())
        # Given, because Celery's own repr of 100 ids costs more than all the rest.
        shown = _shown(args[0]) if task.batch else "(...)"
        own = checked(headers, form.shared) if headers else {}
        own |= {"id": task_id, "root_id": task_id, "argsrepr": shown}
        return Message(task_id, task.queue, body, form.shared, own, row_ids)

    def _form(self, task: Task) -> _Form:
        built = self._celery.amqp.as_task_v2("", task.name, argsrepr="", kwargsrepr="{}", origin="orderapp-relay")
        shared = {name: value for name, value in built.headers.items() if name not in _OWN}
        return self._forms.setdefault(task.name, _Form(shared, tuple(built.body[1:])))


def _shown(ids: list[int]) -> str:
    return f"([{ids[0]}],)" if len(ids) == 1 else f"({len(ids)} ids: {ids[0]}..{ids[-1]})"


def checked(headers: Any, shared: Iterable[str] = ()) -> dict[str, str]:
    """Return headers of ours that can travel. Raises BadRowError."""
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise BadRowError("headers is no object of texts")
    if sum(len(name.encode()) + len(value.encode()) for name, value in headers.items()) > LARGEST_HEADERS:
        raise BadRowError(f"headers takes more than {LARGEST_HEADERS} bytes")
    taken = [*shared, *_OWN]
    if clash := sorted(name for name in headers if name in taken or len(name.encode()) > 255):  # noqa: PLR2004 - AMQP's limit
        raise BadRowError(f"headers has names that are not free: {', '.join(clash)}")
    return dict(headers)
