"""Days as REPORT_TIMEZONE cuts them: 23, 24 or 25 hours from midnight to midnight, on every day computed anew."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

# Before it no order of this service can exist; 0202-01-01 is a slip of the finger.
EARLIEST = date(2000, 1, 1)

# Of the calendar, not 24 hours: it is only ever added to dates.
ONE_DAY = timedelta(days=1)

# Days in one answer: a year, leap day included; about 100 KB.
MOST_DAYS = 366

# Days shown when nobody says from when: a month.
USUAL_DAYS = 30


class DayError(ValueError):
    """The text is no day that can be reported on; the message says why."""


def zone_named(name: str) -> tzinfo:
    """Return the time zone; UTC needs no time zone data on the machine."""
    return UTC if name == "UTC" else ZoneInfo(name)


def today(zone: tzinfo) -> date:
    """Return the day that is not over yet."""
    return datetime.now(zone).date()


def parse_day(text: object, last: date) -> date:
    """Return the day that ``2026-01-31`` names. Raises DayError for anything else, before EARLIEST or after ``last``."""
    try:
        day = date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # Python takes 20260131 and 2026-W05-6 too
        raise DayError("Not a day such as 2026-01-31.")
    if not EARLIEST <= day <= last:
        raise DayError(f"Not a day from {EARLIEST} to {last}.")
    return day


def start_of(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of the day, in UTC.

    Where clocks jump over midnight it is the jump; where midnight comes twice it is the first of the two.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of(day: date, zone: tzinfo) -> datetime:
    """Return the first moment that is not in the day any more, in UTC."""
    return start_of(day + ONE_DAY, zone)


def slices(day: date, zone: tzinfo, width: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Yield the day in pieces of at most ``width``: from each moment until just before the next."""
    moment, end = start_of(day, zone), end_of(day, zone)
    edges = [moment]
    while moment < end:
        moment = min(moment + width, end)
        edges.append(moment)
    yield from pairwise(edges)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the day that a moment is in."""
    return moment.astimezone(zone).date()


def span(first: date, last: date) -> list[date]:
    """Return every day from the first to the last, both included; none when the last comes before the first."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def period(first: date | None, last: date | None, zone: tzinfo) -> tuple[date, date]:
    """Return the days asked for; unsaid, the month that ends today. Raises DayError, for the first day is the one to move."""
    last = last or today(zone)
    first = first or max(EARLIEST, last - (USUAL_DAYS - 1) * ONE_DAY)
    if first > last:
        raise DayError(f"After the last day, {last}.")
    if (last - first).days >= MOST_DAYS:
        raise DayError(f"More than {MOST_DAYS} days before the last day, {last}.")
    return first, last
