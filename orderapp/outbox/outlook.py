"""Where the relay looks for rows that are due: not among those that it has taken away already."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from orderapp.database import reading_once

# What was deleted stays in the index until a vacuum, and while a transaction holds a snapshot, a report of an hour, no vacuum
# takes it: every look would go through all of it. Polls and claims begin at a mark: the oldest row that is left, or, when that
# is younger, the margin ago, as transactions that run now may still bring older ones. A row may become visible behind the mark:
# its transaction took longer than the margin, or the server's clock was set back. It waits until all is looked at again: every
# 2 s, but for a twentieth of the time at most. Under such a snapshot each look goes through all that left within the margin.
MARGIN, SWEEP, SWEEP_SHARE = 5, 2, 20

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# now() and not clock_timestamp(): a volatile function cannot be looked up in the index. The first row and not EXISTS: with a
# million rows due in one queue the whole table was read at each poll, to learn that nothing was due in the others.
_OLDEST_DUE = text("""
SELECT queue, oldest, now() AS asked_at FROM unnest(CAST(:queues AS text[]), CAST(:marks AS timestamptz[])) AS q(queue, mark)
LEFT JOIN LATERAL (SELECT available_at AS oldest FROM outbox WHERE outbox.queue = q.queue AND parked_at IS NULL
    AND available_at >= q.mark AND available_at <= now() ORDER BY available_at LIMIT 1) AS first ON true
""")


class Outlook:
    """What one relay knows of each queue: before which moment nothing is left."""

    def __init__(self) -> None:
        self._marks: dict[str, datetime] = {}
        self._next_sweep = 0.0

    def due_of(self, queues: Sequence[str]) -> list[str]:
        """Return those of these queues in which something is due. Raises SQLAlchemyError while the database is away."""
        began = time.monotonic()
        if began >= self._next_sweep:
            self._marks.clear()  # of queues that gather as well, which are looked at when they are asked for
        is_sweep = not self._marks.keys() >= set(queues)
        marks = [self._marks.get(queue, _LONG_AGO) for queue in queues]
        with reading_once() as session:
            found = session.execute(_OLDEST_DUE, {"queues": queues, "marks": marks}).all()
        if is_sweep:
            ended = time.monotonic()
            self._next_sweep = max(self._next_sweep, ended + max(SWEEP, SWEEP_SHARE * (ended - began)))
        for row in found:
            recently = row.asked_at - timedelta(seconds=MARGIN)
            self._marks[row.queue] = min(row.oldest or recently, recently)
        return [row.queue for row in found if row.oldest]

    def mark_of(self, queue: str) -> datetime:
        """Return before which moment nothing is left in a queue that due_of() has just named."""
        return self._marks[queue]
