"""Where days begin and end."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderapp.reports.days import DayError, day_of, end_of, parse_day, period, slices, span, start_of, today, zone_named

TODAY = date(2026, 3, 1)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # until 2019 clocks jumped at midnight
    "America/Havana",  # midnight comes twice in autumn
    "Asia/Kathmandu",  # a quarter of an hour off
    "Australia/Lord_Howe",  # summer time is half an hour
    "Pacific/Apia",  # had no 30 December 2011
)


@given(
    st.datetimes(datetime(2000, 1, 3), datetime(2037, 1, 1)),  # noqa: DTZ001 - made aware below
    st.sampled_from(ZONES),
)
def test_every_moment_is_in_the_day_that_its_clock_shows(moment: datetime, name: str) -> None:
    """From the day's start to just before its end; ends are the next day's starts."""
    zone, moment = zone_named(name), moment.replace(tzinfo=UTC)
    day = day_of(moment, zone)
    assert start_of(day, zone) <= moment < end_of(day, zone)


@given(st.dates(date(2000, 1, 3), date(2037, 1, 1)), st.sampled_from(ZONES), st.integers(1, 24 * 60))
def test_slices_follow_one_another_from_start_to_end(day: date, name: str, minutes: int) -> None:
    """Nothing is read twice, nothing left out, nothing is wider than asked for."""
    zone, width = zone_named(name), timedelta(minutes=minutes)
    pieces = list(slices(day, zone, width))
    edges = [start_of(day, zone), *(stop for _, stop in pieces)]
    assert [start for start, _ in pieces] == edges[:-1]
    assert edges[-1] == end_of(day, zone)
    assert all(timedelta(0) < stop - start <= width for start, stop in pieces)


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_days_have_the_hours_that_their_clocks_show(name: str, day: date, hours: float) -> None:
    """Also where midnight is jumped over, comes twice, or a whole day is left out."""
    zone = ZoneInfo(name)
    assert end_of(day, zone) - start_of(day, zone) == timedelta(hours=hours)


def test_a_day_is_read_from_its_usual_spelling() -> None:
    """The last day asked for may be the last allowed."""
    assert parse_day("2026-03-01", TODAY) == TODAY
    assert parse_day("2000-01-01", TODAY) == date(2000, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "today", "20260301", "2026-W09-7", "2026-3-1", "2026-02-30", " 2026-03-01", "2026-03-01T00:00", "２０２６-03-01"),  # noqa: RUF001
        *("2026-03-02", "1999-12-31", "0202-01-01", "9999-12-31"),
        *(None, 20260301, True, ["2026-03-01"], {"day": 1}),
    ],
)
def test_anything_else_is_no_day(text: object) -> None:
    """Other ISO spellings, the future, the distant past, other types."""
    with pytest.raises(DayError):
        parse_day(text, TODAY)


def test_unsaid_days_are_the_month_that_ends_today() -> None:
    """Thirty days, today included."""
    first, last = period(None, None, UTC)
    assert (last, (last - first).days) == (today(UTC), 29)
    assert period(None, date(2000, 1, 5), UTC) == (date(2000, 1, 1), date(2000, 1, 5))


def test_a_period_is_a_leap_year_at_most_and_not_backwards() -> None:
    """A year of days is what one answer holds."""
    assert period(date(2024, 1, 1), date(2024, 12, 31), UTC) == (date(2024, 1, 1), date(2024, 12, 31))
    with pytest.raises(DayError, match="366"):
        period(date(2024, 1, 1), date(2025, 1, 1), UTC)
    with pytest.raises(DayError, match="After the last day, 2024-01-01"):
        period(date(2024, 1, 2), date(2024, 1, 1), UTC)


def test_a_span_has_both_its_ends() -> None:
    """And is empty when they are the wrong way round."""
    assert span(date(2026, 2, 27), TODAY) == [date(2026, 2, 27), date(2026, 2, 28), TODAY]
    assert span(TODAY, date(2026, 2, 27)) == []
