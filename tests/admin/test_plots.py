"""The dashboard's pictures: what is high is drawn high, what is missing is a gap."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from orderapp.admin import plots
from orderapp.admin.figures import STATUSES, Flow

SINCE = datetime(2026, 3, 1, 13, 10, tzinfo=UTC)

BARS = re.compile(r"M([\d.]+) ([\d.]+)h[\d.]+v-([\d.]+)h-[\d.]+z")


def minute(number: int, took: tuple[float, float] = (0.02, 0.4), **counts: int) -> Any:
    """Return one row of the flow: so many minutes after its beginning, so many orders of each status."""
    every = dict.fromkeys(STATUSES, 0) | counts
    return SimpleNamespace(minute=SINCE + timedelta(minutes=number), took=took, orders=sum(every.values()), **every)


def flow(*rows: Any) -> Flow:
    """Return an hour of these minutes."""
    total = {status: sum(getattr(row, status) for row in rows) for status in STATUSES}
    return Flow(SINCE, list(rows), SimpleNamespace(**total), cut=False)  # type: ignore[arg-type]


def test_bars_stand_on_each_other_and_end_at_the_sum() -> None:
    """Ten orders reach the line that says 10, eight of them four fifths of it."""
    picture = plots.orders_per_minute(flow(minute(0, confirmed=8, failed=2), minute(59, confirmed=5)))
    drawn = {series.name: [tuple(map(float, bar)) for bar in BARS.findall(series.path)] for series in picture.series}
    assert set(drawn) == {"confirmed", "failed"}
    (first, last), (above,) = drawn["confirmed"], drawn["failed"]
    top = next(tick.at for tick in picture.up if tick.words == "10")
    assert first[1] == plots.BOTTOM
    assert above[1] == pytest.approx(first[1] - first[2], abs=0.2)
    assert above[1] - above[2] == pytest.approx(top, abs=0.2)
    assert first[0] < plots.LEFT + plots.STEP
    assert plots.RIGHT - plots.STEP < last[0] < plots.RIGHT
    assert [series.words for series in picture.series] == ["confirmed 13", "failed 2"]


@pytest.mark.parametrize(
    ("most", "lines"), [(0, [0, 1]), (1, [0, 1]), (4, [0, 1, 2, 3, 4]), (7, [0, 2, 4, 6, 8]), (61, [0, 20, 40, 60, 80])]
)
def test_lines_are_at_whole_round_numbers(most: int, lines: list[int]) -> None:
    """Half an order does not exist."""
    picture = plots.orders_per_minute(flow(minute(0, confirmed=most)))
    assert [int(tick.words) for tick in picture.up] == lines


def test_times_are_drawn_by_powers_of_ten_with_gaps_where_nothing_was_placed() -> None:
    """20 ms and 20 s are three lines apart; a minute alone is a dot."""
    picture = plots.time_to_settled(flow(minute(0), minute(1), minute(30, took=(20.0, 20.0))))
    assert [tick.words for tick in picture.up] == ["10 ms", "100 ms", "1 s", "10 s", "100 s"]
    half, most = picture.series
    assert half.path.count("M") == most.path.count("M") == 2
    assert half.path.count("L") == 1
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", half.path)]
    line = (plots.BOTTOM - plots.TOP) / 4
    assert heights[0] - heights[2] == pytest.approx(3 * line, abs=0.5)


def test_each_minute_tells_its_numbers() -> None:
    """And the quarters of an hour stand below."""
    shown = flow(minute(3, confirmed=1_200, failed=1))
    assert [one.words for one in plots.orders_per_minute(shown).minutes] == ["13:13: 1,200 confirmed, 1 failed"]
    assert [one.words for one in plots.time_to_settled(shown).minutes] == ["13:13: half in 20 ms, 95 % in 400 ms"]
    assert [tick.words for tick in plots.orders_per_minute(shown).along] == ["13:15", "13:30", "13:45", "14:00"]
