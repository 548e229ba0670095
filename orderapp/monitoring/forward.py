"""Whether everything that is open will move on: a message, a lease or a rescue. Reads the indexes of what is open only."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection, TextClause, text

from orderapp.monitoring.facts import Breach
from orderapp.monitoring.invariants import DELIVERY_NO_WAY_FORWARD, DELIVERY_STUCK, NO_WAY_FORWARD, STUCK
from orderapp.queues import ORDERS_PROCESS, WEBHOOKS_DELIVER

# A rescue waits for an hour at most (30 s doubled seven times); what waits twice that was not postponed by a rescuer.
FARTHEST_ORDER = timedelta(hours=2)

# The longest pause between two attempts is 24 h and a tenth; then comes the rescue.
FARTHEST_DELIVERY = timedelta(hours=30)

# Open, nobody at it, and no rescue within reach: only a message could still bring it on.
_NO_WAY = """
SELECT o.id FROM {table} AS o
WHERE {open} AND (o.rescue_at IS NULL OR o.rescue_at > now() + :farthest) AND (o.lease_until IS NULL OR o.lease_until <= now())
    AND NOT EXISTS (SELECT 1 FROM outbox AS b WHERE b.subject_id = o.id AND b.task = :task AND b.parked_at IS NULL)
"""

_OVERDUE = """
SELECT o.id FROM {table} AS o
WHERE {open} AND o.rescue_at < now() - :overdue AND (o.lease_until IS NULL OR o.lease_until <= now() - :overdue)
"""

_ORDERS = {"table": "orders", "open": "o.status IN ('pending', 'processing')"}
_DELIVERIES = {"table": "webhook_deliveries", "open": "o.state = 'pending' AND NOT o.waiting"}

# Behind an open breaker or busy runs a delivery waits as long as it takes; without either somebody should have come.
_FORGOTTEN = """
SELECT o.id FROM webhook_deliveries AS o JOIN webhook_endpoints AS e ON e.id = o.endpoint_id
WHERE o.waiting AND o.due_at < now() - :overdue AND coalesce(e.open_until < now() - :overdue, true)
    AND NOT EXISTS (
        SELECT 1 FROM webhook_deliveries AS busy WHERE busy.endpoint_id = e.id AND busy.lease_until > now() - :overdue)
"""

_QUERIES: tuple[tuple[str, TextClause, dict[str, object]], ...] = (
    (NO_WAY_FORWARD, text(_NO_WAY.format(**_ORDERS)), {"farthest": FARTHEST_ORDER, "task": ORDERS_PROCESS}),
    (STUCK, text(_OVERDUE.format(**_ORDERS)), {}),
    (DELIVERY_NO_WAY_FORWARD, text(_NO_WAY.format(**_DELIVERIES)), {"farthest": FARTHEST_DELIVERY, "task": WEBHOOKS_DELIVER}),
    (DELIVERY_STUCK, text(_OVERDUE.format(**_DELIVERIES)), {}),
    (DELIVERY_STUCK, text(_FORGOTTEN), {}),
)


def breaches(session: Connection, overdue: timedelta) -> Iterator[Breach]:
    """Yield (invariant, id) for each open order and delivery that will not move on, or is late by more than ``overdue``."""
    for name, statement, values in _QUERIES:
        for open_id in session.scalars(statement, {"overdue": overdue, **values} if "overdue" in statement.text else values):
            yield name, open_id
