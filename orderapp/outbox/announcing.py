"""Act: events leave the outbox for the exchange to which other services bind their queues.

A relay beside that of the tasks, with a connection and a breaker of its own: an exchange that refuses holds up no order. One
that is silent does: both take turns in one thread, and a window waits 3 s for its confirms before the breaker opens.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from uuid import UUID

import orjson
from sqlalchemy import Connection

from orderapp.outbox.envelopes import BadRowError, checked
from orderapp.outbox.receipts import Message, Publisher
from orderapp.outbox.relaying import Faults, Relay, Row
from orderapp.queues import EVENTS

# Type and body of each event, by its id.
Bodies = Callable[[Connection, Sequence[UUID]], Mapping[UUID, tuple[str, bytes]]]


class EventRelay(Relay):
    """Publishes each event under its type as routing key, with its id as message id; what nobody has bound is let go."""

    name = "events"
    outage = "events cannot be published, they wait in the outbox"

    def __init__(
        self,
        publisher: Publisher,
        exchange: str,
        bodies: Bodies,
        stopping: Callable[[], bool] = lambda: False,
        gather: float = 0,
    ) -> None:
        super().__init__(publisher, _refuse, [EVENTS.queue], stopping, gather)
        self._exchange = exchange
        self._bodies = bodies

    def _messages(self, session: Connection, rows: Sequence[Row]) -> tuple[list[Message], Faults]:
        """Return a message per event; its body is read now, and is the same whenever it is read."""
        faults: Faults = defaultdict(list)
        found: list[tuple[UUID, dict[str, str], Row]] = []
        for row in rows:
            try:
                found.append((_event_id(row), checked(orjson.loads(row.headers)), row))
            except (BadRowError, ValueError) as error:
                faults[f"{EVENTS.name}: {error}"].append(row.id)
        bodies = self._bodies(session, [event_id for event_id, *_ in found])
        messages = []
        for event_id, headers, row in found:
            if event_id not in bodies:
                faults[f"{EVENTS.name}: there is no such event"].append(row.id)
                continue
            kind, body = bodies[event_id]
            messages.append(Message(str(event_id), kind, body, {}, headers, (row.id,), self._exchange))
        return messages, faults


def _event_id(row: Row) -> UUID:
    args = orjson.loads(row.args)
    if row.task != EVENTS.name or not isinstance(args, list) or len(args) != 1:
        raise BadRowError("the row is no event")
    return UUID(str(args[0]))


def _refuse(*_row: Any) -> NoReturn:
    raise BadRowError("an event is no task")
