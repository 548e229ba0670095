"""Act: messages that are due leave the outbox for the broker.

Claim rows, publish them, delete what the broker confirmed, commit. A crash anywhere in between leaves the rows, and so
at worst a second copy of a message; tasks are written for that. Any number of relays may run side by side.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from orderapp.database import reading, writing
from orderapp.outbox.breaker import Breaker
from orderapp.outbox.broker import BrokerOutageError, Message, Publisher, Receipt
from orderapp.queues import QUEUE_NAMES, TASKS, Task

log = structlog.get_logger(__name__)

# Rows per window: twenty messages of a hundred orders, or two windows' worth of single messages; claimed, published and
# deleted in some 100 ms, so that a crash repeats little.
WINDOW_ROWS = 2000

# Seconds from the claim to the last confirm. Rows are locked and a transaction is open for that long at most.
WINDOW_TIME = 3

# now() and not clock_timestamp(): a volatile function cannot be looked up in the index.
_DUE_QUEUES = text("""
SELECT queue FROM unnest(CAST(:queues AS text[])) AS q(queue)
WHERE EXISTS (SELECT 1 FROM outbox WHERE outbox.queue = q.queue AND parked_at IS NULL AND available_at <= now())
""")

# SKIP LOCKED is what lets relays work side by side. By available_at, never by id: ids are not commit order, and a
# cursor over them would lose the row that commits late.
_CLAIM = text("""
SELECT id, task, subject_id, args, headers FROM outbox
WHERE queue = :queue AND parked_at IS NULL AND available_at <= now()
ORDER BY available_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_DELETE = text("DELETE FROM outbox WHERE id = ANY(:ids)")

_PARK = text("UPDATE outbox SET parked_at = clock_timestamp(), error = :error WHERE id = ANY(:ids)")

Build = Callable[[Task, list[Any], dict[str, Any], tuple[int, ...]], Message]


class Row(NamedTuple):
    """A claimed row."""

    id: int
    task: str
    subject_id: int | None
    args: list[Any]
    headers: dict[str, Any]


class Relay:
    """One relay process: its publisher, and what it remembers of failures.

    A broker that is away, blocked or refusing is an outage: nothing is counted against any message, and while a breaker
    is open no transaction is.
    """

    def __init__(self, publisher: Publisher, build: Build, queues: Sequence[str] = QUEUE_NAMES) -> None:
        self._publisher = publisher
        self._build = build
        self._connection = Breaker()
        self._queues = {queue: Breaker() for queue in queues}

    def relay_once(self) -> int:
        """Publish one window per queue that has something due; returns how many rows left the outbox.

        Raises SQLAlchemyError while the database is away.
        """
        if self._connection.is_open:
            return 0
        due = self._due_queues()
        if not due:
            return 0
        try:
            self._publisher.open()
        except BrokerOutageError as error:
            self._note_outage(str(error))
            return 0
        return sum(self._relay_queue(queue) for queue in due if not self._connection.is_open)

    def _due_queues(self) -> list[str]:
        closed = [queue for queue, breaker in self._queues.items() if not breaker.is_open]
        with reading() as session:
            return list(session.scalars(_DUE_QUEUES, {"queues": closed}))

    def _relay_queue(self, queue: str) -> int:
        room = self._publisher.room(queue)
        if not room:
            return 0
        probing = self._connection.is_probing or self._queues[queue].is_probing
        with writing() as session:
            rows = [Row(*row) for row in session.execute(_CLAIM, {"queue": queue, "limit": 1 if probing else WINDOW_ROWS})]
            messages = self._messages(session, rows)[:room]
            if not messages:
                return 0
            receipt = self._publish(session, messages, time.monotonic() + WINDOW_TIME)
            # What was confirmed is deleted even when the window failed: it has arrived.
            acked = [row_id for message in receipt.acked for row_id in message.row_ids]
            session.execute(_DELETE, {"ids": acked})
        self._note(queue, receipt)
        return len(acked)

    def _messages(self, session: Session, rows: Sequence[Row]) -> list[Message]:
        """Return the rows as messages, at most a task's batch of subjects in each; what cannot be built is parked."""
        messages: list[Message] = []
        subjects: dict[Task, list[Row]] = {}
        for row in rows:
            task = TASKS.get(row.task)
            if task is None:
                _park(session, [row.id], f"no task {row.task!r} in this version")
            elif not task.batch:
                messages.append(self._build(task, row.args, row.headers, (row.id,)))
            elif row.subject_id is None:
                _park(session, [row.id], f"{row.task} without a subject_id")
            else:
                subjects.setdefault(task, []).append(row)
        for task, members in subjects.items():
            messages += [self._batch(task, chunk) for chunk in _chunks(members, task.batch)]
        return messages

    def _batch(self, task: Task, rows: Sequence[Row]) -> Message:
        # Two rows of one subject, as a rescue makes them, are one wake-up.
        ids = list(dict.fromkeys(row.subject_id for row in rows))
        headers = rows[0].headers if len(rows) == 1 else {}
        return self._build(task, [ids], headers, tuple(row.id for row in rows))

    def _publish(self, session: Session, messages: Sequence[Message], deadline: float) -> Receipt:
        """Publish; messages that come back find the queues declared anew and go out once more."""
        receipt = self._publisher.publish(messages, deadline)
        if not receipt.returned or receipt.outage:
            return receipt
        log.warning("queue missing, declared again", queue=messages[0].queue, returned=len(receipt.returned))
        try:
            self._publisher.declare()
        except BrokerOutageError as error:
            receipt.outage = str(error)
            return receipt
        second = self._publisher.publish([message for message, _ in receipt.returned], deadline)
        for message, reason in second.returned:
            _park(session, message.row_ids, f"returned by the broker although the queue was declared: {reason}")
        return Receipt(receipt.acked + second.acked, receipt.nacked + second.nacked, second.returned, second.outage)

    def _note(self, queue: str, receipt: Receipt) -> None:
        if receipt.outage:
            self._note_outage(receipt.outage)
        elif self._connection.reset():
            log.info("broker is back")
        if receipt.nacked:
            if self._queues[queue].trip():
                log.warning("queue refuses messages", queue=queue, nacked=len(receipt.nacked))
        elif receipt.acked and self._queues[queue].reset():
            log.info("queue takes messages again", queue=queue)

    def _note_outage(self, reason: str) -> None:
        if self._connection.trip():
            log.warning("broker unreachable, messages wait in the outbox", reason=reason)

    def close(self) -> None:
        """Drop the connection to the broker."""
        self._publisher.close()


def _park(session: Session, row_ids: Iterable[int], reason: str) -> None:
    log.error("message parked", outbox_ids=list(row_ids), reason=reason)
    session.execute(_PARK, {"ids": list(row_ids), "error": reason})


def _chunks(rows: Sequence[Row], size: int) -> Iterable[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
