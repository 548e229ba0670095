"""Act: what is kept of attempts is forgotten after WEBHOOK_LOG_DAYS. Deliveries stay: they say what was received."""

import time
from datetime import timedelta

from sqlalchemy import text

from orderapp.database import writing

from .claims import LOCK

# Rows per transaction: milliseconds, and nobody waits for its locks.
BATCH = 1000

# Seconds after which no further batch begins: the workers serve orders too, and the task is killed after ten.
LONGEST = 5

_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('webhooks.prune'))")

# Ids are about in the order of time: the first rows are the oldest ones, whatever the size of the table.
_OLD = text("""
    SELECT id, delivery_id FROM (SELECT id, delivery_id, started_at FROM webhook_attempts ORDER BY id LIMIT :batch) oldest
    WHERE started_at < clock_timestamp() - :kept
""")

# So that an audit does not miss the proof of what was received.
_MARK = text("UPDATE webhook_deliveries SET log_pruned = true WHERE id = ANY(:ids) AND NOT log_pruned")

_DELETE = text("DELETE FROM webhook_attempts WHERE id = ANY(:ids)")


def prune_attempts(kept: timedelta) -> int:
    """Forget attempts older than this, the oldest first; returns how many. A second one at the same time does nothing."""
    began, total = time.monotonic(), 0
    while time.monotonic() - began < LONGEST:
        pruned = _prune_batch(kept)
        total += pruned
        if pruned < BATCH:
            break
    return total


def _prune_batch(kept: timedelta) -> int:
    with writing() as session:
        if not session.scalar(_ALONE):
            return 0
        old = session.execute(_OLD, {"batch": BATCH, "kept": kept}).all()
        deliveries = sorted({row.delivery_id for row in old})
        if old:
            session.execute(LOCK, {"ids": deliveries})
            session.execute(_MARK, {"ids": deliveries})
            session.execute(_DELETE, {"ids": [row.id for row in old]})
        return len(old)
