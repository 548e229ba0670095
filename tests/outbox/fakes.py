"""A broker that does what a test tells it, for faults that a real one shows only by bad luck."""

from collections.abc import Callable, Sequence

from orderapp.outbox.receipts import BrokerOutageError, Message, Receipt

Answer = Callable[[Sequence[Message]], Receipt]


def acks(messages: Sequence[Message]) -> Receipt:
    """Take everything."""
    return Receipt(acked=list(messages))


def nacks(messages: Sequence[Message]) -> Receipt:
    """Refuse everything."""
    return Receipt(nacked=list(messages))


def returns(messages: Sequence[Message]) -> Receipt:
    """Find no queue for anything."""
    return Receipt(returned=[(message, "Basic.return: (312) NO_ROUTE") for message in messages])


def fails(messages: Sequence[Message]) -> Receipt:
    """Be gone after half of the window."""
    return Receipt(acked=list(messages[: len(messages) // 2]), outage="ConnectionResetError: gone")


class FakePublisher:
    """Answers each window by the next line of the script, then takes everything; remembers what it was asked."""

    def __init__(self, *script: Answer, room: int = 1000) -> None:
        """Take the script."""
        self.script = list(script)
        self.windows: list[list[Message]] = []
        self.declared = 0
        self.is_away = False
        self._room = room

    def open(self) -> None:
        """Connect, unless the broker is away."""
        if self.is_away:
            raise BrokerOutageError("ConnectionRefusedError: away")

    def room(self, queue: str) -> int:
        """Return the room; a queue that is named "full" has none."""
        return 0 if queue == "full" else self._room

    def declare(self) -> None:
        """Count."""
        self.declared += 1

    def publish(self, messages: Sequence[Message], _deadline: float) -> Receipt:
        """Answer by the script."""
        self.windows.append(list(messages))
        return (self.script.pop(0) if self.script else acks)(messages)

    def close(self) -> None:
        """Nothing to drop."""
