"""The world outside of the service, which outlives its processes: what the broker holds, clients know and receivers heard."""

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson


class Dice:
    """Chance by a seed; once it is calm nothing bad happens any more."""

    def __init__(self, seed: object, *, calm: bool = False) -> None:
        self.random = Random(str(seed))
        self.calm = calm

    def bad(self, probability: float) -> bool:
        """Tell whether something bad happens now."""
        return not self.calm and self.random.random() < probability


@dataclass
class Carried:
    """A message in the broker."""

    id: str
    task: str
    queue: str
    args: list[Any]


@dataclass
class Asked:
    """An order that a client asked for, under a reference of its own; with a key the client asks again until it is answered."""

    reference: str
    items: dict[int, int]
    key: str | None
    answer: bytes | None = None

    @property
    def order_id(self) -> int | None:
        """Return the order's id, once the client was told."""
        return int(orjson.loads(self.answer)["id"]) if self.answer else None


@dataclass(frozen=True)
class Told:
    """A webhook that a receiver took in."""

    url: str
    id: str
    body: bytes
    valid: bool
    taken: bool


@dataclass
class Outside:
    """Everything that does not die with a process of the service."""

    queues: dict[str, list[Carried]] = field(default_factory=lambda: defaultdict(list))
    published: set[int] = field(default_factory=set)  # rows of the outbox
    confirmed: set[int] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)  # of receivers, by URL
    cancelled: set[int] = field(default_factory=set)
    feed: list[str] = field(default_factory=list)  # the ids of events that a reader of the feed has seen
    cursor: int = 0  # how far it has read
    faults: list[str] = field(default_factory=list)  # what should not have happened, in sentences
    injected: int = 0
