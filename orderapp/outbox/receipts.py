"""What the relay hands to a broker, and what it learns of each message: acknowledged, refused, returned, or nothing.

Only an acknowledged message may lose its outbox row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class BrokerOutageError(Exception):
    """The broker cannot be reached now; no message is to blame."""


class UnknownConfirmError(Exception):
    """The broker confirmed what it was never sent: nothing that it says on this connection can be relied on."""


@dataclass(frozen=True, slots=True)
class Message:
    """A Celery task message, or an event for other services, and the outbox rows that it carries."""

    id: str
    queue: str
    body: bytes
    shared: Mapping[str, Any]  # the headers that every message of this task has
    own: Mapping[str, str]  # the headers of this one
    row_ids: tuple[int, ...]
    exchange: str = ""  # where ``queue`` is the routing key; what nobody has asked for is not returned by it

    @property
    def headers(self) -> dict[str, Any]:
        """Return all headers."""
        return {**self.shared, **self.own}


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
        """Return how many messages may be published to this queue now. Raises BrokerOutageError."""

    def declare(self) -> None:
        """Create the queues that are missing. Raises BrokerOutageError."""

    def publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Publish, and wait for the confirms until the deadline (``time.monotonic()``)."""

    def close(self) -> None:
        """Drop the connection."""


class InFlight:
    """The messages of one window, by delivery tag, until the broker has answered for each."""

    def __init__(self, first_tag: int) -> None:
        self.receipt = Receipt()
        self.next_tag = first_tag
        self._lowest = first_tag
        self._open: dict[int, Message] = {}
        self._reasons: dict[str, str] = {}

    def __len__(self) -> int:
        """Return how many have no answer."""
        return len(self._open)

    def add(self, message: Message) -> None:
        """Note the next message that is sent."""
        self._open[self.next_tag] = message
        self.next_tag += 1

    def ack(self, tag: int, multiple: bool) -> None:
        """Take note of an acknowledgement. Raises UnknownConfirmError."""
        for message in self._answered(tag, multiple):
            # The broker acknowledges a message that it returned, too, right after the return.
            if message.id in self._reasons:
                self.receipt.returned.append((message, self._reasons[message.id]))
            else:
                self.receipt.acked.append(message)

    def nack(self, tag: int, multiple: bool) -> None:
        """Take note of a refusal. Raises UnknownConfirmError."""
        self.receipt.nacked += self._answered(tag, multiple)

    def come_back(self, message_id: str, reason: str) -> None:
        """Take note of a message for which there is no queue; its acknowledgement follows."""
        self._reasons[message_id] = reason

    def _answered(self, tag: int, multiple: bool) -> list[Message]:
        if tag >= self.next_tag:
            raise UnknownConfirmError(f"delivery tag {tag} confirmed, {self.next_tag - 1} was the last one sent")
        tags = range(self._lowest, tag + 1) if multiple else (tag,)
        if multiple:
            self._lowest = max(self._lowest, tag + 1)  # each tag is looked at once, however many confirms say "up to"
        return [self._open.pop(one) for one in tags if one in self._open]
