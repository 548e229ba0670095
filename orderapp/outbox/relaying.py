"""Act: messages that are due leave the outbox for the broker.

Claim rows, publish them, delete what the broker confirmed, commit. A crash anywhere in between leaves the rows, and so
at worst a second copy of a message; tasks are written for that. Any number of relays may run side by side.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import structlog
from sqlalchemy import Connection, text

from orderapp import telemetry
from orderapp.database import writing
from orderapp.outbox.breaker import Breaker
from orderapp.outbox.envelopes import BadRowError
from orderapp.outbox.outlook import Outlook
from orderapp.outbox.receipts import BrokerOutageError, Message, Publisher, Receipt
from orderapp.outbox.spans import WindowSpans
from orderapp.queues import QUEUE_NAMES, TASKS, Task

log = structlog.get_logger(__name__)

# Rows per window: twenty messages of a hundred orders, or two windows' worth of single messages; claimed, published and
# deleted in some 100 ms, so that a crash repeats little.
WINDOW_ROWS = 2000

# Seconds from the claim to the last confirm. Rows are locked and a transaction is open for that long at most.
WINDOW_TIME = 3

# Seconds for which a queue that is busy gathers rows before its next window: under a steady load of some hundred orders per
# second, twenty rows share a transaction, a message and a task instead of three, each of which costs about as much. Of two
# relays each has its own time, and half of the rows.
GATHER = 0.05

# Messages that one line of the log names: some 10 kB, which collectors of logs take as one line.
LINE_MESSAGES = 100

# SKIP LOCKED is what lets relays work side by side. By available_at, never by id: ids are not commit order, and a
# cursor over them would lose the row that commits late. JSON as text: psycopg2 would parse both columns of every row,
# and a batch needs neither; that was a third of the relay's time.
_CLAIM = text("""
SELECT id, task, subject_id, CAST(args AS text), CAST(headers AS text), headers ->> 'request_id',
    headers ->> 'traceparent' FROM outbox
WHERE queue = :queue AND parked_at IS NULL AND available_at >= :mark AND available_at <= now()
ORDER BY available_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
""")

_DELETE = text("DELETE FROM outbox WHERE id = ANY(:ids)")

_PARK = text("UPDATE outbox SET parked_at = clock_timestamp(), error = :error WHERE id = ANY(:ids)")

Build = Callable[[Task, Any, Any, tuple[int, ...]], Message]

# Why rows cannot be published, and which.
Faults = dict[str, list[int]]


class Row(NamedTuple):
    """A claimed row; args and headers are JSON text; what the headers hold of a request and of its trace once more."""

    id: int
    task: str
    subject_id: int | None
    args: str
    headers: str
    request_id: str | None
    traceparent: str | None


class Relay:
    """One relay process: its publisher, and what it remembers of failures.

    A broker that is away, blocked or refusing is an outage: nothing is counted against any message, and while a breaker
    is open no transaction is. ``stopping`` is asked between windows. ``gather``: seconds that a busy queue waits for more.
    """

    # Under which name metrics tell whether it can publish.
    name = "relay"

    # What the log says at the first failure of an outage.
    outage = "broker unreachable, messages wait in the outbox"

    def __init__(
        self,
        publisher: Publisher,
        build: Build,
        queues: Sequence[str] = QUEUE_NAMES,
        stopping: Callable[[], bool] = lambda: False,
        gather: float = 0,
    ) -> None:
        self.parked = 0
        self._publisher = publisher
        self._build = build
        self._stopping = stopping
        self._gather = gather
        self._gathering: dict[str, float] = {}
        self._outlook = Outlook()
        self._spans = WindowSpans()
        self._connection = Breaker()
        self._queues = {queue: Breaker() for queue in queues}

    @property
    def is_waiting(self) -> bool:
        """Tell whether the broker is away and it is too early to try again."""
        return self._connection.is_open

    def relay_once(self) -> int:
        """Publish one window per queue that has something due and does not gather; returns how many rows left or were parked.

        ``parked`` counts the latter on. Raises SQLAlchemyError while the database is away.
        """
        handled = 0
        if self.is_waiting:
            return handled
        due = self._due_queues()
        try:
            if due:
                self._publisher.open()
            for queue in due:
                if not self.is_waiting and not self._stopping():
                    handled += self._relay_queue(queue)
        except BrokerOutageError as error:
            self._note_outage(str(error))
        return handled

    def _due_queues(self) -> list[str]:
        now = time.monotonic()
        open_for = [
            queue for queue, breaker in self._queues.items() if not breaker.is_open and now >= self._gathering.get(queue, 0)
        ]
        return self._outlook.due_of(open_for)

    def _relay_queue(self, queue: str) -> int:
        room = self._publisher.room(queue)
        if not room:
            return 0
        probing = self._connection.is_probing or self._queues[queue].is_probing
        limit = 1 if probing else min(WINDOW_ROWS, room * _most_subjects(queue))
        claimed = {"queue": queue, "mark": self._outlook.mark_of(queue), "limit": limit}
        with writing() as session:
            rows = [Row(*row) for row in session.execute(_CLAIM, claimed)]
            # A single row is an idle service's, which is not to wait; a full window has more behind it.
            if 1 < len(rows) < limit:
                self._gathering[queue] = time.monotonic() + self._gather
            messages, faults = self._messages(session, rows)
            parked = _park(session, faults)
            began = time.monotonic()
            receipt = self._publish(messages[:room], began + WINDOW_TIME) if messages else None
            answered = time.monotonic()
            if receipt is not None:
                parked += _park(session, _unroutable(receipt))
                # What was confirmed is deleted even when the window failed: it has arrived.
                acked = [row_id for message in receipt.acked for row_id in message.row_ids]
                session.execute(_DELETE, {"ids": acked})
        self.parked += parked
        if receipt is None:
            return parked
        self._spans.end(messages[:room], receipt)
        _tell(receipt, {row.id: row for row in rows})
        self._note(queue, receipt)
        telemetry.note_window(queue, [len(message.row_ids) for message in receipt.acked], answered - began)
        return len(acked) + parked

    def _messages(self, _session: Connection, rows: Sequence[Row]) -> tuple[list[Message], Faults]:
        """Return the rows as messages, at most a task's batch of subjects in each, and those that make none."""
        messages: list[Message] = []
        faults: Faults = defaultdict(list)
        for task, members in _gathered(rows, faults):
            try:
                messages.append(self._message(task, members))
            except (BadRowError, orjson.JSONDecodeError) as error:
                faults[f"{task.name}: {error}"] += [row.id for row in members]
        return messages, faults

    def _message(self, task: Task, rows: Sequence[Row]) -> Message:
        row_ids = tuple(row.id for row in rows)
        headers = orjson.loads(rows[0].headers) if len(rows) == 1 else {}
        if isinstance(headers, dict):
            headers |= self._spans.open(task, row_ids, [row.traceparent for row in rows])
        if not task.batch:
            return self._build(task, orjson.loads(rows[0].args), headers, row_ids)
        # Two rows of one subject, as a rescue makes them, are one wake-up.
        return self._build(task, [list(dict.fromkeys(row.subject_id for row in rows))], headers, row_ids)

    def _publish(self, messages: Sequence[Message], deadline: float) -> Receipt:
        """Publish; messages that come back find the queues declared anew and go out once more.

        What the receipt calls returned was returned twice.
        """
        first = self._publisher.publish(messages, deadline)
        returned, first.returned = first.returned, []
        if not returned or first.outage:
            return first
        log.warning("queue missing, declared again", queue=messages[0].queue, returned=len(returned))
        try:
            self._publisher.declare()
        except BrokerOutageError as error:
            first.outage = str(error)
            return first
        second = self._publisher.publish([message for message, _ in returned], deadline)
        return Receipt(first.acked + second.acked, first.nacked + second.nacked, second.returned, second.outage)

    def _note(self, queue: str, receipt: Receipt) -> None:
        if receipt.outage:
            self._note_outage(receipt.outage)
        else:
            telemetry.note_broker(self.name, reachable=True)
            if self._connection.reset():
                log.info("broker is back")
        if receipt.nacked:
            if self._queues[queue].trip():
                log.warning("queue refuses messages, they wait in the outbox", queue=queue, nacked=len(receipt.nacked))
        elif receipt.acked and self._queues[queue].reset():
            log.info("queue takes messages again", queue=queue)

    def _note_outage(self, reason: str) -> None:
        telemetry.note_broker(self.name, reachable=False)
        if self._connection.trip():
            log.warning(self.outage, reason=reason)

    def close(self) -> None:
        """Drop the connection to the broker."""
        self._publisher.close()


def _tell(receipt: Receipt, rows: Mapping[int, Row]) -> None:
    """Say which requests and subjects left in which messages: what leads from a request to the task.

    Messages of one row share lines, for a line each would take longer than publishing them.
    """
    alone: dict[str, list[Message]] = defaultdict(list)
    for message in receipt.acked:
        if len(message.row_ids) > 1:
            _say([message], rows)
        else:
            alone[rows[message.row_ids[0]].task].append(message)
    for messages in alone.values():
        for start in range(0, len(messages), LINE_MESSAGES):
            _say(messages[start : start + LINE_MESSAGES], rows)


def _say(messages: Sequence[Message], rows: Mapping[int, Row]) -> None:
    members = [rows[row_id] for message in messages for row_id in message.row_ids]
    requests = list(dict.fromkeys(row.request_id for row in members if row.request_id))
    log.info(
        "messages published",
        queue=messages[0].queue,
        task=members[0].task,
        message_ids=[message.id for message in messages],
        subject_ids=list(dict.fromkeys(row.subject_id for row in members if row.subject_id is not None)),
        **({"request_id": requests[0]} if len(requests) == 1 else {"request_ids": requests} if requests else {}),
    )


def _most_subjects(queue: str) -> int:
    """Return how many rows one message of this queue may carry; no more are claimed than the broker has room for."""
    return max([1, *(task.batch for task in TASKS.values() if task.queue == queue)])


def _gathered(rows: Sequence[Row], faults: Faults) -> Iterator[tuple[Task, Sequence[Row]]]:
    """Yield the rows of each message; rows of which no message can be made go to the faults."""
    subjects: dict[Task, list[Row]] = defaultdict(list)
    for row in rows:
        task = TASKS.get(row.task)
        if task is None:
            faults[f"this version has no task {row.task!r}; retry with the version that has it, or discard"].append(row.id)
        elif not task.batch:
            yield task, [row]
        elif row.subject_id is None:
            faults[f"{row.task}: the row has no subject_id"].append(row.id)
        else:
            subjects[task].append(row)
    for task, members in subjects.items():
        for start in range(0, len(members), task.batch):
            yield task, members[start : start + task.batch]


def _unroutable(receipt: Receipt) -> Faults:
    faults: Faults = defaultdict(list)
    for message, reason in receipt.returned:
        faults[f"returned by the broker although the queue was declared: {reason}"] += message.row_ids
    return faults


def _park(session: Connection, faults: Faults) -> int:
    for reason, row_ids in faults.items():
        log.error("messages parked", outbox_ids=row_ids, reason=reason)
        session.execute(_PARK, {"ids": row_ids, "error": reason})
    return sum(map(len, faults.values()))
