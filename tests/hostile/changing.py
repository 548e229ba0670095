"""What chance makes of a true message: its body as a tree and as bytes, its headers, its properties, its queue."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from orderapp import queues

# In JSON and in headers alike.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 2**31, 2**63 - 1, -(2**63), 0.5, 1e308, "", "0", "1", "\0", "\u202e", "x" * 1000),
    *("2026-01-01", "2999-01-01T00:00:00+00:00", "never", "orders.process", "celery.chord", "../x", "' OR 1=1 --", "%s"),
    *([], {}, [[]], [1], ["1"], [None], [1, [2]], {"a": 1}, {"task": "orders.rescue"}, [{"task": "orders.process"}]),
)
ODD_JSON: tuple[Any, ...] = (2**63, 10**30, -(10**30), float("nan"), float("inf"), "\ud800", list(range(200)))
ODD_AMQP: tuple[Any, ...] = (b"\xff\x00", Decimal("1.5"), datetime(2026, 1, 1), 3.0)  # noqa: DTZ001 - AMQP has no zones

# What Celery's senders put there, and what its worker looks at. Not ``x-death``: one that is no list of tables ends RabbitMQ
# 3.10's own process of the queue when the message is rejected, before it is anywhere else.
HEADERS = (
    *("task", "id", "root_id", "parent_id", "lang", "group", "group_index", "meth", "shadow", "eta", "expires", "retries"),
    *("timelimit", "argsrepr", "kwargsrepr", "origin", "ignore_result", "stamped_headers", "stamps", "compression"),
    *("replaced_task_nesting", "chain", "chord", "callbacks", "errbacks", "request_id", "traceparent", "x-x"),
)

# Any but ``expiration``: RabbitMQ itself would end those, and no worker could tell.
PROPERTIES: dict[str, tuple[Any, ...]] = {
    "content_type": (
        "",
        "application/json",
        "application/x-python-serialize",
        "application/x-yaml",
        "text/plain",
        "\0",
        "x" * 200,
    ),
    "content_encoding": ("", "utf-8", "binary", "utf-16", "utf-7", "base64", "idna", "punycode", "rot13", "nonsense", "zlib"),
    "correlation_id": ("", "\0", "x" * 200),
    "reply_to": ("", "orders", "\0"),
    "priority": (0, 9, 255),
    "delivery_mode": (1, 2),
    "message_id": ("", "x" * 200),
    "timestamp": (0, 2**40),
    "type": ("", "task"),
    "user_id": ("guest",),
    "app_id": ("", "\0"),
}


@dataclass
class Message:
    """What is published; ``parts`` is the body as a tree until it is bytes."""

    queue: str
    parts: Any
    headers: dict[str, Any]
    properties: dict[str, Any] = field(default_factory=dict)
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        """Return the body as bytes."""
        return json.dumps(self.parts).encode() if self.raw is None else self.raw


def messages(seed: int, count: int, subjects: list[int]) -> list[Message]:
    """Return so many, each about one of the subjects before chance came to it."""
    random = Random(seed)  # the same seed, the same messages
    return [_changed(random, subjects) for _ in range(count)]


def _changed(random: Random, subjects: list[int]) -> Message:
    message = _true(random, subjects)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        random.choice(CHANGES)(random, message)
    return message


def _true(random: Random, subjects: list[int]) -> Message:
    task = random.choice(list(queues.TASKS.values()))
    args: list[Any] = [[random.choice(subjects)]] if task.batch else []
    if task.name == queues.REPORTS_SUMMARISE_DAY:
        args = ["2026-01-01"]
    own = str(UUID(int=random.getrandbits(128), version=4))
    return Message(task.queue, [args, {}, {}], {"task": task.name, "id": own, "root_id": own, "lang": "py"})


def _change_tree(random: Random, message: Message) -> None:
    """Put something else somewhere into the tree, or something more."""
    odd = deepcopy(random.choice(ODD + ODD_JSON))  # the next change may be inside of it
    places = list(_places(message.parts))
    if not places or random.random() < 1 / 8:
        message.parts = odd
        return
    inside, key = random.choice(places)
    match random.randrange(3), inside:
        case 0, list():
            inside.insert(key, odd)
        case 0, dict():
            inside[random.choice(("self", "order_ids", "callbacks", "chain", "chord", "errbacks", "x"))] = odd
        case 1, list() if key < len(inside):
            del inside[key]
        case _, list() if key == len(inside):
            inside.append(odd)
        case _:
            inside[key] = odd


def _places(node: Any) -> Any:
    if isinstance(node, list):
        yield from ((node, index) for index in range(len(node) + 1))
        for one in node:
            yield from _places(one)
    elif isinstance(node, dict):
        yield from ((node, key) for key in [*node, "x"])
        for one in node.values():
            yield from _places(one)


def _change_bytes(random: Random, message: Message) -> None:
    """Cut, repeat, flip or put in bytes."""
    body = bytearray(message.body)
    start = random.randrange(len(body) + 1)
    end = min(len(body), start + random.choice((1, 2, 8, 1000)))
    match random.randrange(5):
        case 0:
            del body[start:end]
        case 1:
            del body[start:]
        case 2:
            body[start:start] = body[start:end] * random.choice((1, 2, 100))
        case 3:
            body[start:start] = random.randbytes(random.choice((1, 4, 100)))
        case _ if start < len(body):
            body[start] ^= 1 << random.randrange(8)
    message.raw = bytes(body)


def _change_header(random: Random, message: Message) -> None:
    """Take a header away, or set one to something else."""
    name = random.choice(HEADERS)
    if random.random() < 1 / 4:
        message.headers.pop(name, None)
    else:
        message.headers[name] = random.choice(ODD + ODD_AMQP)


def _change_property(random: Random, message: Message) -> None:
    name = random.choice(list(PROPERTIES))
    message.properties[name] = random.choice(PROPERTIES[name])


def _change_queue(random: Random, message: Message) -> None:
    message.queue = random.choice(queues.QUEUE_NAMES)


CHANGES: tuple[Callable[[Random, Message], None], ...] = (
    *(_change_tree, _change_tree, _change_tree, _change_bytes, _change_bytes),
    *(_change_header, _change_header, _change_header, _change_property, _change_queue),
)
