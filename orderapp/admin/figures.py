"""What the dashboard asks the database. Each question looks at a bounded number of rows, found by an index.

The bounds show: a count that reached its bound is "or more", an hour with more orders than one look takes in begins later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from orderapp.admin import moments
from orderapp.queues import EVENTS, QUEUE_NAMES

# In the order in which they are stacked: what is done at the bottom, what waits on top.
STATUSES = ("confirmed", "failed", "cancelled", "processing", "pending")

# Minutes of the charts: an hour shows when it began, and each minute is still wide enough to point at.
MINUTES = 60

# Orders of one look: fourteen per second for an hour; about 60 ms.
MOST_ORDERS = 50_000

# Counts stop here: beyond it the number changes nothing about what to do.
MOST_COUNTED = 1_000

# Webhook attempts of one look: about 20 ms, and an hour at five per second.
MOST_ATTEMPTS = 20_000

# Failed orders of one look: each is looked up with its lines, about 40 ms.
MOST_FAILED = 2_000

# Failures are shown for a day: yesterday evening's are still to be decided about this morning.
FAILED_SINCE = timedelta(hours=24)

# Order lines that tell what is being bought lately; about 10 ms.
MOST_LINES = 5_000

# Units that are low: a handful of orders away from the first that fails.
LOW = 10

# Products of a short list: the next one moves up when one of these is restocked.
MOST_LOW = 10

_NOW = text("SELECT date_trunc('minute', clock_timestamp()) AS minute, clock_timestamp() AS now")

# An open order has waited until now: without it, an outage would look like a fast hour.
_ORDERS = text(f"""
WITH recent AS MATERIALIZED (
    SELECT status, created_at, coalesce(settled_at, clock_timestamp()) - created_at AS took
    FROM orders WHERE id >= :low ORDER BY id DESC LIMIT :most
), counted AS (
    SELECT date_trunc('minute', created_at) AS minute, status, extract(epoch FROM took) AS seconds
    FROM recent WHERE created_at >= :since
)
SELECT minute, count(*) AS orders, {", ".join(f"count(*) FILTER (WHERE status = '{one}') AS {one}" for one in STATUSES)},
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS took
FROM counted GROUP BY GROUPING SETS ((minute), ()) ORDER BY minute
""")

_OPEN = text("""
SELECT count(*) AS orders, count(*) FILTER (WHERE rescues > 0) AS rescued,
    extract(epoch FROM clock_timestamp() - min(created_at)) AS oldest
FROM (SELECT created_at, rescues FROM orders WHERE status IN ('pending', 'processing') ORDER BY rescue_at LIMIT :most) AS open
""")

# By available_at, as the relay claims: the first is the oldest.
_OUTBOX = text("""
SELECT q.queue, due.messages, due.oldest FROM unnest(CAST(:queues AS text[])) AS q(queue) CROSS JOIN LATERAL (
    SELECT count(*) AS messages, extract(epoch FROM clock_timestamp() - min(available_at)) AS oldest FROM (
        SELECT available_at FROM outbox
        WHERE outbox.queue = q.queue AND parked_at IS NULL AND available_at <= now() ORDER BY available_at LIMIT :most
    ) AS first
) AS due
""")

_PARKED = text("""
SELECT count(*) FROM (SELECT 1 FROM outbox WHERE parked_at IS NOT NULL ORDER BY id LIMIT :most) AS parked
""")

_ATTEMPTS = text("""
SELECT count(*) AS attempts, count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS succeeded
FROM (SELECT started_at, status_code FROM webhook_attempts WHERE id >= :low ORDER BY id DESC LIMIT :most) AS recent
WHERE started_at >= :since
""")

# Two questions about what is open: an index each, and in its order, for without statistics a planner takes the table.
_DELIVERIES = text("""
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM webhook_deliveries WHERE state = 'pending' AND NOT waiting ORDER BY rescue_at LIMIT :most
    ) AS d) + (SELECT count(*) FROM (
        SELECT 1 FROM webhook_deliveries WHERE waiting ORDER BY endpoint_id, due_at LIMIT :most
    ) AS d) AS open,
    (SELECT count(*) FROM (
        SELECT finished_at FROM webhook_deliveries WHERE state = 'exhausted' ORDER BY id DESC LIMIT :most
    ) AS d WHERE finished_at >= :since) AS given_up
""")

_FAILED = text("""
WITH latest AS MATERIALIZED (
    SELECT id, currency, failure_reason ->> 'code' AS cause, settled_at FROM orders
    WHERE status = 'failed' ORDER BY id DESC LIMIT :most
)
SELECT cause, currency, count(*) AS orders, sum(lines.amount) AS amount
FROM latest CROSS JOIN LATERAL (
    SELECT sum(quantity * unit_price) AS amount FROM order_items WHERE order_id = latest.id OFFSET 0
) AS lines
WHERE settled_at >= :since GROUP BY cause, currency ORDER BY orders DESC, cause, currency
""")

# Not by stock: an index on it would be written with every sale. What nobody orders is short of nothing.
_SHORT = text("""
WITH lately AS MATERIALIZED (
    SELECT DISTINCT product_id FROM (SELECT product_id FROM order_items ORDER BY id DESC LIMIT :most) AS lines
)
SELECT p.id, p.name, p.stock FROM lately CROSS JOIN LATERAL (
    SELECT id, name, stock, archived_at FROM products WHERE id = lately.product_id OFFSET 0
) AS p
WHERE p.archived_at IS NULL AND p.stock <= :low ORDER BY p.stock, p.id LIMIT :shown
""")


@dataclass(frozen=True)
class Flow:
    """The orders of the last hour: per minute, and all together; ``cut`` when there were more than one look takes in."""

    since: datetime
    minutes: list[Row[Any]]
    total: Row[Any]
    cut: bool


def flow(session: Connection) -> Flow:
    """Return the last hour's orders by minute of placing: how many have which status now, and how long settling took."""
    since = session.execute(_NOW).one().minute - timedelta(minutes=MINUTES - 1)
    low = moments.first_since(session, "orders", "created_at", since)
    *rows, total = session.execute(_ORDERS, {"low": low, "since": since, "most": MOST_ORDERS}).all()
    cut = total.orders == MOST_ORDERS
    whole = rows[1:] if cut and rows[1:] else rows  # the first minute of a cut hour is half there
    return Flow(since, whole, total, cut)


def open_orders(session: Connection) -> Row[Any]:
    """Return how many orders are open, how many of them a rescuer woke again, and the age of the oldest in seconds."""
    return session.execute(_OPEN, {"most": MOST_COUNTED}).one()


def outbox(session: Connection) -> dict[str, Any]:
    """Return how many messages are due, the age of the oldest in seconds, and how many are parked."""
    queues = session.execute(_OUTBOX, {"queues": [*QUEUE_NAMES, EVENTS.queue], "most": MOST_COUNTED}).all()
    ages = [row.oldest for row in queues if row.oldest is not None]
    parked = session.execute(_PARKED, {"most": MOST_COUNTED}).scalar_one()
    return {"due": sum(row.messages for row in queues), "oldest": max(ages, default=None), "parked": parked}


def webhooks(session: Connection) -> dict[str, Any]:
    """Return the last hour's attempts and how many succeeded, what is on its way, and what a day has given up."""
    now = session.execute(_NOW).one().now
    since = now - timedelta(minutes=MINUTES)
    low = moments.first_since(session, "webhook_attempts", "started_at", since)
    recent = session.execute(_ATTEMPTS, {"low": low, "since": since, "most": MOST_ATTEMPTS}).one()
    deliveries = session.execute(_DELIVERIES, {"since": now - FAILED_SINCE, "most": MOST_COUNTED}).one()
    return {**recent._mapping, **deliveries._mapping}  # noqa: SLF001 - SQLAlchemy's public name for it


def failures(session: Connection) -> Sequence[Row[Any]]:
    """Return the last day's failed orders by cause and currency: how many, and what they would have come to."""
    since = session.execute(_NOW).one().now - FAILED_SINCE
    return session.execute(_FAILED, {"since": since, "most": MOST_FAILED}).all()


def low_stock(session: Connection) -> Sequence[Row[Any]]:
    """Return the products with LOW units or less among those that were ordered lately, shortest first."""
    return session.execute(_SHORT, {"most": MOST_LINES, "low": LOW, "shown": MOST_LOW}).all()
