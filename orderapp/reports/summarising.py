"""Act: the sales of a day are added up and written down, again whenever they changed.

The day is read an hour at a time, each hour a short read of its own: no snapshot is held that would keep PostgreSQL from
cleaning up. Then one short transaction writes. Whatever happens in between is found by the next run, because the summary
bears the time at which its reading began.
"""

import time
from datetime import date, datetime, timedelta, tzinfo

import orjson
import structlog
from sqlalchemy import Connection, text

from orderapp.database import is_outage, reading, writing
from orderapp.reports import due, queries
from orderapp.reports.days import slices, start_of
from orderapp.reports.queries import Change
from orderapp.reports.totals import DayTotals, Total

log = structlog.get_logger(__name__)

# What one read covers. By time and not by number of rows: a block-range index has no order, so that each page of rows would
# cost a sort of all that is left of the day. Measured at 8,000 orders an hour: 28 ms with all sums; a mere page of 8,000
# ids took 76.
SLICE = timedelta(hours=1)

# Seconds after which a run begins no further day. The workers that run this serve orders too; the next run comes soon.
BUDGET = 5

# Attempts at one day while others write it too; each of them wrote a summary as good as ours.
ATTEMPTS = 3

# How far back cancellations are looked at at least. A run looks every few minutes; any pause of more than a day shows as a
# missing day, and then everything since is looked at.
LOOK_BACK = timedelta(days=7)

_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('reports.summarise_day'), CAST(:day AS date) - DATE 'epoch')")

# A currency whose only order of the day was retried, and so left the day.
_DROP_OTHERS = text("DELETE FROM daily_sales WHERE day = :day AND currency <> ALL(:currencies)")

_WRITE = text("""
INSERT INTO daily_sales (day, currency, orders, items, revenue, failed, cancelled, average, top_products, summarised_at)
VALUES (:day, :currency, :orders, :items, :revenue, :failed, :cancelled, :average, CAST(:top AS jsonb), :began)
ON CONFLICT (day, currency) DO UPDATE SET orders = excluded.orders, items = excluded.items, revenue = excluded.revenue,
    failed = excluded.failed, cancelled = excluded.cancelled, average = excluded.average,
    top_products = excluded.top_products, summarised_at = excluded.summarised_at
""")

_MARK = text("UPDATE daily_sales SET summarised_at = :mark WHERE day = :day AND summarised_at > :mark")


def summarise_day(day: date, zone: tzinfo, currency: str) -> bool:
    """Write what the day came to, one row per currency; a day without orders gets zeros in ``currency``.

    Afterwards the summary has seen every change that was committed before the call, and earlier days that a retried order
    left for this one are marked as out of date. False when others kept writing the same day meanwhile: theirs stands.
    """
    for _ in range(ATTEMPTS):
        with reading() as session:
            began, seen = queries.now(session), queries.version_of(session, day)
        totals, left = _add_up(day, zone)
        with writing() as session:
            # Another run, or a mark, in between: what was read may be older than what stands there.
            if session.scalar(_ALONE, {"day": day}) and queries.version_of(session, day) == seen:
                _write(session, day, totals.by_currency(currency), began)
                _mark_outdated(session, day, left, zone)
                return True
    return False


def summarise_due_days(zone: tzinfo, currency: str) -> int:
    """Summarise the days that are missing, oldest first, then those that changed since; returns how many.

    Bounded by BUDGET: the next run goes on. A day that fails is logged and does not keep the others from their turn.
    """
    began, done = time.monotonic(), 0
    for day in _due_days(zone):
        try:
            done += summarise_day(day, zone, currency)
        except Exception as error:
            # A bug: the log's reader sees it, and the day stays due.
            if is_outage(error):
                raise
            log.exception("day not summarised", day=day.isoformat())
        if time.monotonic() - began >= BUDGET:
            break
    return done


def _due_days(zone: tzinfo) -> list[date]:
    with reading() as session:
        now, first_order_at = queries.now(session), queries.first_order_at(session)
        summarised = queries.summarised_days(session)
    if first_order_at is None:
        return []
    missing = due.unfinished(first_order_at, now, summarised, zone)
    finished = {day: moment for day, moment in summarised.items() if day not in missing}
    if not finished:
        return missing
    # Nobody looked since before the first day that was never summarised; no summary is older than the oldest one.
    never = [start_of(day, zone) for day in missing if day not in summarised]
    since = max(min(finished.values()) - due.LONGEST_COMMIT, min([now - LOOK_BACK, *never]))
    return missing + due.outdated(_cancelled_since(since, now), finished, zone)


def _cancelled_since(moment: datetime, now: datetime) -> list[Change]:
    changes: list[Change] = []
    while moment <= now:
        with reading() as session:
            changes += queries.cancelled(session, moment, moment + timedelta(days=1))
        moment += timedelta(days=1)
    return changes


def _add_up(day: date, zone: tzinfo) -> tuple[DayTotals, list[Change]]:
    totals, left = DayTotals(), []
    for start, stop in slices(day, zone, SLICE):
        with reading() as session:
            piece = queries.slice_of(session, start, stop)
        totals.add(piece.counted, piece.sold)
        left += piece.left
    return totals, left


def _write(session: Connection, day: date, totals: dict[str, Total], began: datetime) -> None:
    names = queries.product_names(session, [one.product_id for total in totals.values() for one in total.top])
    session.execute(_DROP_OTHERS, {"day": day, "currencies": list(totals)})
    for currency, total in totals.items():
        top = [
            {"product_id": one.product_id, "name": names[one.product_id], "units": one.units, "revenue": str(one.revenue)}
            for one in total.top
        ]
        values = {
            "day": day,
            "currency": currency,
            "orders": total.orders,
            "items": total.items,
            "revenue": total.revenue,
            "failed": total.failed,
            "cancelled": total.cancelled,
            "average": total.average,
            "top": orjson.dumps(top).decode(),
            "began": began,
        }
        session.execute(_WRITE, values)


def _mark_outdated(session: Connection, day: date, left: list[Change], zone: tzinfo) -> None:
    """Mark the days that a retried order was counted in before; latest first, so that two runs cannot deadlock."""
    summarised = queries.summarised_days(session) if left else {}
    for other in sorted(due.outdated(left, summarised, zone), reverse=True):
        if other != day:
            session.execute(_MARK, {"day": other, "mark": due.mark_of(other, zone)})
