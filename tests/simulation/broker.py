"""A broker that loses, doubles, reorders and holds back messages, refuses them, confirms some of them, and goes away."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from orderapp import failpoints
from orderapp.outbox.broker import ACT
from orderapp.outbox.receipts import BrokerOutageError, Message, Receipt
from tests.simulation.clock import Clock
from tests.simulation.outside import Carried, Dice, Outside

AWAY, NACKED, RETURNED, LOST, DOUBLED, SILENT = 0.04, 0.04, 0.02, 0.08, 0.12, 0.05


class Broker:
    """Queues in memory, behind the same door as the product's publishers; a consumer takes from it."""

    def __init__(self, outside: Outside, dice: Dice, clock: Clock) -> None:
        self._outside = outside
        self._dice = dice
        self._clock = clock

    def open(self) -> None:
        """Connect, if it is there."""
        if self._dice.bad(AWAY):
            raise BrokerOutageError("ConnectionRefusedError: away")

    def room(self, queue: str) -> int:  # noqa: ARG002
        """Return how many messages may be in flight."""
        return 1000

    def declare(self) -> None:
        """Find the queues again."""
        if self._dice.bad(AWAY):
            raise BrokerOutageError("ConnectionResetError: away again")

    def close(self) -> None:
        """Drop nothing."""

    def publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Take the messages as chance will have it; what is not in the receipt may have arrived all the same."""
        receipt = Receipt()
        self._outside.published.update(row_id for message in messages for row_id in message.row_ids)
        try:
            failpoints.passing(ACT, "claimed")
            acked = [message for message in messages if self._take(message, receipt)]
            failpoints.passing(ACT, "sent")
            self._confirm(receipt, acked, deadline)
            failpoints.passing(ACT, "confirmed")
        except ConnectionResetError as error:
            receipt.outage = str(error)
        return receipt

    def _take(self, message: Message, receipt: Receipt) -> bool:
        """Let one message arrive or not; returns whether it is confirmed, which one that was lost is, too."""
        if self._dice.bad(RETURNED):
            receipt.returned.append((message, "Basic.return: (312) NO_ROUTE"))
            return False
        if self._dice.bad(NACKED):
            receipt.nacked.append(message)
            return False
        args = orjson.loads(message.body)[0]
        carried = Carried(message.id, message.headers["task"], message.queue, args)
        copies = 0 if self._dice.bad(LOST) else 1 + self._dice.bad(DOUBLED)
        self._outside.queues[message.queue] += [replace(carried) for _ in range(copies)]
        return True

    def _confirm(self, receipt: Receipt, acked: list[Message], deadline: float) -> None:
        heard = [message for message in acked if not self._dice.bad(SILENT)]
        if self._clock.monotonic() > deadline:  # whoever published was away for longer
            heard = []
        if len(heard) < len(acked):
            receipt.outage = "TimeoutError: no confirm before the deadline"
        receipt.acked += heard
        self._outside.confirmed.update(row_id for message in heard for row_id in message.row_ids)

    def put(self, carried: Carried) -> None:
        """Take a message from beat."""
        self._outside.queues[carried.queue].append(carried)

    def take(self, queues: Sequence[str]) -> Carried | None:
        """Hand out a message of these queues: the first one, or any when the weather is bad; None without one."""
        waiting = [(queue, number) for queue in queues for number in range(len(self._outside.queues[queue]))]
        if not waiting:
            return None
        queue, number = waiting[0] if self._dice.calm else self._dice.random.choice(waiting)
        return self._outside.queues[queue].pop(number)

    def lose_everything(self) -> None:
        """Come back with an empty volume."""
        self._outside.queues.clear()

    @property
    def size(self) -> int:
        """Return how many messages there are."""
        return sum(map(len, self._outside.queues.values()))
