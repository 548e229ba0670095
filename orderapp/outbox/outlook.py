"""Where the relay looks for rows that are due: not among those that it has taken away already."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, text

from orderapp.database import reading_once

# What was deleted stays in the index until a vacuum, and while a transaction holds a snapshot, a report of an hour, no vacuum
# takes it: a look goes through all of it. So looks begin where nothing older was left. But a transaction that is still open
# may bring an older row. Most take milliseconds: each look begins RECENT seconds before the last one. Some take seconds: looks
# that begin MARGIN seconds before the last one of their kind. Where much was deleted these take long, at 60,000 rows/s half of
# the relay's time, so after each comes a pause of SHARE times what it took, 5 s at most: a machine may stand still meanwhile.
RECENT, MARGIN, SHARE = 0.25, 5, 20

# Seconds, at least and at most, between two sweeps from the very beginning: for what takes longer still, and for a clock that
# was set back. They pause by SHARE as well; what an order or a delivery waits for, rescuers send again within that minute.
SWEEP, LONGEST_SWEEP = 2, 60

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# now() and not clock_timestamp(): a volatile function cannot be looked up in the index. The first row and not EXISTS: with a
# million rows due in one queue the whole table was read at each poll, to learn that nothing was due in the others.
_OLDEST_DUE = text("""
SELECT queue, oldest, now() AS asked_at FROM unnest(CAST(:queues AS text[]), CAST(:marks AS timestamptz[])) AS q(queue, mark)
LEFT JOIN LATERAL (SELECT available_at AS oldest FROM outbox WHERE outbox.queue = q.queue AND parked_at IS NULL
    AND available_at >= q.mark AND available_at <= now() ORDER BY available_at LIMIT 1) AS first ON true
""")


@dataclass
class _View:
    """What is known of one queue: its oldest row, or when it had none; when it was looked at; when to look further back."""

    oldest: datetime = _LONG_AGO
    looked_at: datetime = _LONG_AGO
    margin_at: datetime = _LONG_AGO
    next_margin: float = 0
    next_sweep: float = 0

    def mark(self, now: float) -> datetime:
        """Return where the next look begins."""
        if now >= self.next_sweep:
            return _LONG_AGO
        if now >= self.next_margin:
            return min(self.oldest, self.margin_at - timedelta(seconds=MARGIN))
        return min(self.oldest, self.looked_at - timedelta(seconds=RECENT))

    def note(self, found: Row[tuple[str, datetime | None, datetime]], began: float, ended: float) -> None:
        """Keep what a look has found that went as far back as mark() said when it began."""
        pause = SHARE * (ended - began)
        if began >= min(self.next_sweep, self.next_margin):
            self.margin_at = found.asked_at
        if began >= self.next_sweep:
            self.next_sweep = ended + min(max(SWEEP, pause), LONGEST_SWEEP)
        elif began >= self.next_margin:
            self.next_margin = ended + min(pause, MARGIN)
        self.oldest, self.looked_at = found.oldest or found.asked_at, found.asked_at


class Outlook:
    """What one relay knows of each queue, by times of its own: one that gathers while others are looked at misses nothing."""

    def __init__(self) -> None:
        self._views: dict[str, _View] = defaultdict(_View)

    def due_of(self, queues: Sequence[str]) -> list[str]:
        """Return those of these queues in which something is due. Raises SQLAlchemyError while the database is away."""
        began = time.monotonic()
        marks = [self._views[queue].mark(began) for queue in queues]
        with reading_once() as session:
            found = session.execute(_OLDEST_DUE, {"queues": queues, "marks": marks}).all()
        ended = time.monotonic()
        for row in found:
            self._views[row.queue].note(row, began, ended)
        return [row.queue for row in found if row.oldest]

    def mark_of(self, queue: str) -> datetime:
        """Return before which moment nothing was seen in a queue that due_of() has just named."""
        return self._views[queue].oldest
