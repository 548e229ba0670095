"""Reading what a day came to, and what changed since it was summarised; reading the summaries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text

from orderapp.reports.totals import Counted, Sold

# One statement, and so one snapshot: money and units of an order are counted together or not at all. The range on
# settled_at is what the block-range index answers; nothing here is sorted, an order by time would be sorted anew each time.
# total_amount tells a cancelled sale from an order that was cancelled while pending.
_SLICE = text("""
WITH settled AS MATERIALIZED (
    SELECT id, currency, total_amount, last_sequence,
        CASE WHEN status = 'cancelled' AND total_amount IS NULL THEN 'never sold' ELSE status END AS outcome
    FROM orders WHERE settled_at >= :start AND settled_at < :stop
)
SELECT currency, CAST(NULL AS bigint) AS product_id, count(*) FILTER (WHERE outcome IN ('confirmed', 'cancelled')) AS orders,
    count(*) FILTER (WHERE outcome = 'failed') AS failed, count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE last_sequence >= 4) AS eventful, CAST(NULL AS numeric) AS units,
    coalesce(sum(total_amount) FILTER (WHERE outcome = 'confirmed'), 0) AS revenue
FROM settled GROUP BY currency
UNION ALL
SELECT currency, product_id, 0, 0, 0, 0, sum(quantity), sum(quantity * unit_price)
FROM settled JOIN order_items ON order_items.order_id = settled.id
WHERE outcome = 'confirmed' GROUP BY currency, product_id
""")

# placed, failed, reopened, settled again: four events at least. A failed event that is not an order's last was left behind.
_REOPENED = text("""
SELECT failed.occurred_at AS settled_at, reopened.occurred_at AS changed_at
FROM orders
JOIN order_events AS failed ON failed.order_id = orders.id AND failed.type = 'order.failed'
JOIN order_events AS reopened ON reopened.order_id = orders.id AND reopened.sequence = failed.sequence + 1
WHERE orders.settled_at >= :start AND orders.settled_at < :stop AND orders.last_sequence >= 4
""")

# Quarters of an hour, which no midnight of any time zone cuts, instead of a row per order.
_CANCELLED = text("""
SELECT date_bin('15 minutes', orders.settled_at, TIMESTAMPTZ 'epoch') AS settled_at, max(occurred_at) AS changed_at
FROM order_events JOIN orders ON orders.id = order_events.order_id
WHERE order_events.type = 'order.cancelled' AND occurred_at >= :start AND occurred_at < :stop AND total_amount IS NOT NULL
GROUP BY 1
""")

_NOW = text("SELECT clock_timestamp()")

# By id and not by time: there is no index on created_at, and ids are given in its order.
_FIRST_ORDER = text("SELECT created_at FROM orders ORDER BY id LIMIT 1")

_SUMMARISED = text("SELECT day, min(summarised_at) AS summarised_at FROM daily_sales GROUP BY day")

_VERSION = text("SELECT max(summarised_at) FROM daily_sales WHERE day = :day")

_NAMES = text("SELECT id, name FROM products WHERE id = ANY(:ids)")

COLUMNS = (
    "day", "currency", "orders", "items", "revenue", "failed", "cancelled", "average", "top_products", "summarised_at"
)  # fmt: skip

_DAILY = text(f"""
SELECT {", ".join(COLUMNS)} FROM daily_sales WHERE day BETWEEN :first AND :last ORDER BY day, currency
""")


@dataclass(frozen=True)
class Change:
    """An order settled at ``settled_at`` came to count differently, or elsewhere, at ``changed_at``."""

    settled_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class Slice:
    """A piece of a day: what was settled in it, and the earlier failures that orders settled in it have left behind."""

    counted: list[Counted]
    sold: list[Sold]
    left: list[Change]


def now(session: Connection) -> datetime:
    """Return the database's clock: the one that orders and events are stamped by."""
    moment: datetime = session.execute(_NOW).scalar_one()
    return moment


def slice_of(session: Connection, start: datetime, stop: datetime) -> Slice:
    """Return what was settled from ``start`` until just before ``stop``, as it stands now."""
    rows = session.execute(_SLICE, {"start": start, "stop": stop}).all()
    counted = [
        Counted(row.currency, row.orders, row.failed, row.cancelled, row.revenue) for row in rows if row.product_id is None
    ]
    sold = [Sold(row.currency, row.product_id, int(row.units), row.revenue) for row in rows if row.product_id is not None]
    eventful = any(row.eventful for row in rows)
    return Slice(counted, sold, _reopened(session, start, stop) if eventful else [])


def _reopened(session: Connection, start: datetime, stop: datetime) -> list[Change]:
    """Return the failures that orders settled in this time have left behind."""
    return [Change(row.settled_at, row.changed_at) for row in session.execute(_REOPENED, {"start": start, "stop": stop})]


def cancelled(session: Connection, start: datetime, stop: datetime) -> list[Change]:
    """Return which quarters of an hour sold something that was cancelled in this time."""
    return [Change(row.settled_at, row.changed_at) for row in session.execute(_CANCELLED, {"start": start, "stop": stop})]


def first_order_at(session: Connection) -> datetime | None:
    """Return when the first order was placed."""
    moment: datetime | None = session.scalar(_FIRST_ORDER)
    return moment


def summarised_days(session: Connection) -> dict[date, datetime]:
    """Return each day that has a summary, and from when on it may be out of date."""
    return {row.day: row.summarised_at for row in session.execute(_SUMMARISED)}


def version_of(session: Connection, day: date) -> datetime | None:
    """Return what changes whenever the day's summary is written or marked as out of date."""
    version: datetime | None = session.scalar(_VERSION, {"day": day})
    return version


def product_names(session: Connection, product_ids: Sequence[int]) -> dict[int, str]:
    """Return the products' names of today."""
    return {row.id: row.name for row in session.execute(_NAMES, {"ids": list(product_ids)})}


def daily_sales(session: Connection, first: date, last: date) -> list[dict[str, Any]]:
    """Return the summaries of these days, both included, by day and currency: the columns of ``daily_sales``."""
    return [dict(row) for row in session.execute(_DAILY, {"first": first, "last": last}).mappings()]
