"""Act: idempotency keys that nobody will repeat any more are forgotten."""

import time

from sqlalchemy import text

from orderapp.database import writing

# Hours. Clients are promised 24; one more covers what lies between an answer and its arrival.
KEPT = 25

# Rows per transaction: milliseconds, and no vacuum has to wait for it.
BATCH = 1000

# Seconds after which no further batch begins: the workers serve orders too, and the task is killed after ten.
LONGEST = 5

_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('orders.prune'))")

_PRUNE = text("""
DELETE FROM idempotency_keys WHERE (client_id, key) IN (
    SELECT client_id, key FROM idempotency_keys WHERE created_at < now() - make_interval(hours => :kept)
    ORDER BY created_at LIMIT :batch)
RETURNING 1
""")


def prune_keys() -> int:
    """Forget keys older than KEPT hours, the oldest first; returns how many. A second one at the same time does nothing."""
    began, total = time.monotonic(), 0
    while time.monotonic() - began < LONGEST:
        with writing() as session:
            if not session.scalar(_ALONE):
                break
            pruned = len(session.execute(_PRUNE, {"kept": KEPT, "batch": BATCH}).all())
        total += pruned
        if pruned < BATCH:
            break
    return total
