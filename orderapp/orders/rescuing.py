"""Act: open orders that nobody is at get a new message.

The message may be lost with the broker, the worker may be dead. Nobody has to guess which: an order whose ``rescue_at``
is due and whose lease, if any, ran out is sent again; to process an order twice costs next to nothing.
"""

from sqlalchemy import text

from orderapp import telemetry
from orderapp.database import writing
from orderapp.orders.states import RESCUE_AFTER
from orderapp.outbox.messages import enqueue_many
from orderapp.queues import ORDERS_PROCESS

# Orders per transaction: ten messages of a hundred, locks held for milliseconds.
BATCH = 1000

# Doublings of the wait: 30 s x 2^7 is about an hour, the longest that an order in a healthy long backlog is left alone.
MOST_DOUBLINGS = 7

_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('orders.rescue'))")

# now() and not clock_timestamp(): a volatile function cannot be looked up in the index of open orders.
_LOCK_DUE = text("""
SELECT id FROM orders WHERE id IN (
    SELECT id FROM orders
    WHERE status IN ('pending', 'processing') AND rescue_at <= now()
        AND (lease_until IS NULL OR lease_until <= clock_timestamp())
    ORDER BY rescue_at LIMIT :limit)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")

_POSTPONE = text("""
UPDATE orders SET rescues = rescues + 1,
    rescue_at = clock_timestamp() + make_interval(secs => :rescue_after * 2 ^ least(rescues, :doublings))
WHERE id = ANY(:ids)
""")


def rescue_orders() -> int:
    """Send again up to BATCH orders that nobody is at; returns how many. A second rescuer at the same time does nothing."""
    with writing() as session:
        if not session.scalar(_ALONE):
            return 0
        due = list(session.scalars(_LOCK_DUE, {"limit": BATCH}))
        if due:
            session.execute(_POSTPONE, {"ids": due, "rescue_after": RESCUE_AFTER, "doublings": MOST_DOUBLINGS})
            enqueue_many(ORDERS_PROCESS, due)
    if due:
        telemetry.note_rescued("orders", len(due))
    return len(due)
