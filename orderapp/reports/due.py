"""Which days are to be summarised: the ones that are missing, and the ones whose orders changed since."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, tzinfo

from orderapp.reports.days import ONE_DAY, day_of, end_of, span, start_of
from orderapp.reports.queries import Change

# Between the stamp of an order or event and its commit lie milliseconds; a task is killed after 10 s and a statement after
# 30. A summary that began less than this after a change may not have seen it.
LONGEST_COMMIT = timedelta(seconds=60)


def unfinished(first_order_at: datetime, now: datetime, summarised: Mapping[date, datetime], zone: tzinfo) -> list[date]:
    """Return the days from the first order to the last midnight that lack a summary made after their end, oldest first."""
    last = day_of(now - LONGEST_COMMIT, zone) - ONE_DAY
    return [day for day in span(day_of(first_order_at, zone), last) if _unfinished(summarised.get(day), day, zone)]


def _unfinished(summarised_at: datetime | None, day: date, zone: tzinfo) -> bool:
    return summarised_at is None or summarised_at < end_of(day, zone) + LONGEST_COMMIT


def outdated(changes: Iterable[Change], summarised: Mapping[date, datetime], zone: tzinfo) -> list[date]:
    """Return the days whose summary may not have seen one of these changes, the longest out of date first."""
    days = {
        day
        for change in changes
        for day in days_of(change, zone)
        if day in summarised and summarised[day] < change.changed_at + LONGEST_COMMIT
    }
    return sorted(days, key=lambda day: (summarised[day], day))


def days_of(change: Change, zone: tzinfo) -> set[date]:
    """Return the day that the changed order was counted in; two near midnight.

    An event is stamped a little later than its order: one stamped just after midnight may tell of the day before.
    """
    return {day_of(change.settled_at, zone), day_of(change.settled_at - LONGEST_COMMIT, zone)}


def mark_of(day: date, zone: tzinfo) -> datetime:
    """Return the ``summarised_at`` that makes a day count as unfinished: the day's own beginning."""
    return start_of(day, zone)
