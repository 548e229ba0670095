"""The mark of the last clean audit, and what has changed since then.

A mark is a set of ids below which every row was there when that audit looked, and right. Ids are given out before the
commit, so the mark stays MARGIN behind the newest: no act takes as long from its first insert to its commit. Event ids
are UUIDs of version 7, which sort by the time at which they were made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

# PostgreSQL ends a statement of ours after 30 s and an idle transaction too, and no act has twenty statements.
MARGIN = timedelta(minutes=10)

# The milliseconds of a version 7 UUID stand above its lower 80 bits.
TIME_SHIFT = 80

_LAST = text("""
SELECT id, checked_at, order_id, movement_id, attempt_id, event_id, webhooks_since FROM audit_runs ORDER BY id DESC LIMIT 1
""")

_NOW = text("SELECT now()")

# From the newest row down to the first one older than the margin: as many rows as the margin holds.
_NEXT = text("""
SELECT coalesce((SELECT id FROM orders WHERE created_at < :before ORDER BY id DESC LIMIT 1), 0) + 1 AS order_id,
    coalesce((SELECT id FROM stock_movements WHERE created_at < :before ORDER BY id DESC LIMIT 1), 0) + 1 AS movement_id,
    coalesce((SELECT id FROM webhook_attempts WHERE started_at < :before ORDER BY id DESC LIMIT 1), 0) + 1 AS attempt_id
""")

# Whatever an act does to an order leaves one of these behind: a new order, a movement, an event, an attempt.
_TOUCHED = text("""
SELECT id FROM orders WHERE id >= :order_id
UNION SELECT order_id FROM stock_movements WHERE id >= :movement_id AND order_id IS NOT NULL
UNION SELECT order_id FROM order_events WHERE id >= :event_id
UNION SELECT order_id FROM webhook_deliveries
    WHERE id = ANY(ARRAY(SELECT delivery_id FROM webhook_attempts WHERE id >= :attempt_id)) AND order_id IS NOT NULL
ORDER BY 1
""")

# By the events' ids, so that the search begins at the mark.
_FIRST_TOLD = text("""
SELECT e.occurred_at FROM order_events AS e
JOIN webhook_deliveries AS d ON d.event_id = e.id AND d.endpoint_id = 1 AND d.resend_of IS NULL
WHERE e.id >= :event_id AND e.occurred_at >= :checked_at ORDER BY e.id LIMIT 1
""")

# While the built-in endpoint is disabled nobody has to be told. A minute's grace after it was enabled: whoever settled an
# order in that moment may have seen it as it was before.
_ENABLED = text("SELECT active_since + interval '1 minute' FROM webhook_endpoints WHERE id = 1 AND active")

_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('monitoring.audit'))")

_NEWEST = text("SELECT max(id) FROM audit_runs")

_RECORD = text("""
INSERT INTO audit_runs (checked_at, everything, orders, order_id, movement_id, attempt_id, event_id, webhooks_since)
VALUES (:checked_at, :everything, :orders, :order_id, :movement_id, :attempt_id, CAST(:event_id AS uuid), :webhooks_since)
""")

_STORE = text("""
INSERT INTO audit_balances (product_id, units)
SELECT product_id, units FROM unnest(CAST(:product_ids AS bigint[]), CAST(:units AS bigint[])) AS b(product_id, units)
ON CONFLICT (product_id) DO UPDATE SET units = excluded.units
""")


@dataclass(frozen=True)
class Mark:
    """Where an audit that looked at ``checked_at`` lets the next one begin; ``run`` is None before the first clean run."""

    run: int | None
    checked_at: datetime
    order_id: int
    movement_id: int
    attempt_id: int
    event_id: UUID
    webhooks_since: datetime | None


@dataclass(frozen=True)
class CleanRun:
    """A run that found no violation; ``balances`` are those that have changed since the last one."""

    mark: Mark
    everything: bool
    orders: int
    balances: Mapping[int, int]


NOTHING = Mark(None, datetime.min.replace(tzinfo=UTC), 0, 0, 0, UUID(int=0), None)


def last_mark(session: Connection) -> Mark:
    """Return the mark of the last clean run; NOTHING when there was none."""
    row = session.execute(_LAST).one_or_none()
    return Mark(*row) if row else NOTHING


def next_mark(session: Connection, webhooks_since: datetime | None) -> Mark:
    """Return where the next audit may begin when this snapshot proves clean."""
    now: datetime = session.execute(_NOW).scalar_one()
    ids = session.execute(_NEXT, {"before": now - MARGIN}).one()
    event_id = UUID(int=int((now - MARGIN).timestamp() * 1000) << TIME_SHIFT)
    return Mark(None, now, ids.order_id, ids.movement_id, ids.attempt_id, event_id, webhooks_since)


def touched_since(session: Connection, mark: Mark) -> list[int]:
    """Return the orders that something happened to since the mark, in id order."""
    values = {"order_id": mark.order_id, "movement_id": mark.movement_id, "attempt_id": mark.attempt_id}
    return list(session.scalars(_TOUCHED, {**values, "event_id": mark.event_id}))


def webhooks_since(session: Connection, mark: Mark) -> datetime | None:
    """Return from when on the built-in endpoint hears of every outcome: as the last clean run knew it, else since the first.

    A run without an endpoint knows none: outcomes until the next first delivery were nobody's to hear.
    """
    first: datetime | None = mark.webhooks_since or session.scalar(
        _FIRST_TOLD, {"event_id": mark.event_id, "checked_at": mark.checked_at}
    )
    return first


def told_since(session: Connection, since: datetime | None) -> datetime | None:
    """Return from when on a missing delivery is a violation: not before the built-in endpoint was last enabled."""
    enabled: datetime | None = session.scalar(_ENABLED)
    return max(since, enabled) if since and enabled else None


def record(session: Connection, before: Mark, run: CleanRun) -> bool:
    """Write the mark down unless another audit has moved it since ``before``; returns whether."""
    session.execute(_ALONE)
    if session.scalar(_NEWEST) != before.run:
        return False
    session.execute(_RECORD, {**vars(run.mark), "everything": run.everything, "orders": run.orders})
    session.execute(_STORE, {"product_ids": list(run.balances), "units": list(run.balances.values())})
    return True
