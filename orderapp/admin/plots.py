"""The geometry of the dashboard's pictures; templates write it as SVG inside the page.

Not by pygal, which draws the days of sales: inside the page a drawing takes its colours, light or dark, from the style sheet,
needs no style of its own (the policy forbids it), and an hour is 5 kB and 1 ms instead of 107 kB and 30 ms.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orderapp.admin import formats
from orderapp.admin.figures import MINUTES, MOST_ORDERS, STATUSES, Flow

# Units of the drawing: as wide as a telephone, where its words are still 9 pixels high.
WIDTH, HEIGHT = 480, 200

# Where the plot begins and ends; outside of it are the words.
LEFT, RIGHT, TOP, BOTTOM = 56, 474, 8, 174

STEP = (RIGHT - LEFT) / MINUTES

# Of a minute's width, what its bar takes.
FULL = 0.8

# Labels along the time, in minutes: more would run into each other.
LABELLED = 15

# Horizontal lines, at most.
MOST_LINES = 4

# Seconds: what is quicker is drawn as that quick.
QUICKEST = 0.001


@dataclass(frozen=True)
class Tick:
    """A line across the plot, or a place along it, and its words."""

    at: float
    words: str


@dataclass(frozen=True)
class Series:
    """One colour: its name in the style sheet, its outline, and what the legend says."""

    name: str
    path: str
    words: str


@dataclass(frozen=True)
class Minute:
    """A strip that tells its numbers when somebody points at it."""

    at: float
    words: str


@dataclass(frozen=True)
class Plot:
    """One picture; ``kind`` is bars or lines."""

    kind: str
    title: str
    note: str
    series: list[Series]
    up: list[Tick]
    along: list[Tick]
    minutes: list[Minute]


def orders_per_minute(flow: Flow) -> Plot:
    """Return the picture of the orders placed in each minute, stacked by the status they have now."""
    lines = _whole_steps(max((row.orders for row in flow.minutes), default=0))
    high = lines[-1]
    paths: dict[str, list[str]] = {status: [] for status in STATUSES}
    for row in flow.minutes:
        below = 0
        for status in STATUSES:
            count = getattr(row, status)
            if count:
                paths[status].append(_bar(_x(flow.since, row.minute), below / high, count / high))
            below += count
    series = [
        Series(status, "".join(paths[status]), f"{status} {getattr(flow.total, status):,}")
        for status in STATUSES
        if getattr(flow.total, status)
    ]
    words = [", ".join(f"{getattr(row, one):,} {one}" for one in STATUSES if getattr(row, one)) for row in flow.minutes]
    up = [Tick(_y(line / high), f"{line:,}") for line in lines]
    return Plot("bars", "Orders per minute, by their status now", _cut(flow), series, up, _along(flow), _told(flow, words))


def time_to_settled(flow: Flow) -> Plot:
    """Return the picture of how long the orders of each minute took, median and 95th percentile, by powers of ten."""
    times = [max(time, QUICKEST) for row in flow.minutes for time in row.took]
    low = math.floor(math.log10(min(times, default=1)))
    high = max(math.ceil(math.log10(max(times, default=1))), low + 1)

    def height(seconds: float) -> float:
        return (math.log10(max(seconds, QUICKEST)) - low) / (high - low)

    series = []
    for index, (name, words) in enumerate((("half", "half of the orders"), ("most", "95 % of the orders"))):
        points = [(_x(flow.since, row.minute) + STEP / 2, _y(height(row.took[index]))) for row in flow.minutes]
        series.append(Series(name, _line(points), words))
    told = [f"half in {formats.seconds(row.took[0])}, 95 % in {formats.seconds(row.took[1])}" for row in flow.minutes]
    up = [Tick(_y((power - low) / (high - low)), formats.seconds(10.0**power)) for power in range(low, high + 1)]
    note = "Per minute of placing; open orders count until now. Each line is ten times the one below."
    return Plot("lines", "Time from placed to settled", note, series, up, _along(flow), _told(flow, told))


def _cut(flow: Flow) -> str:
    return f"Only the newest {MOST_ORDERS:,} orders: there were more in this hour." if flow.cut else ""


def _x(since: datetime, minute: datetime) -> float:
    return LEFT + STEP * ((minute - since) / timedelta(minutes=1))


def _y(share: float) -> float:
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def _bar(x: float, below: float, share: float) -> str:
    width, height = STEP * FULL, share * (BOTTOM - TOP)
    return f"M{x + (STEP - width) / 2:.1f} {_y(below):.1f}h{width:.1f}v{-height:.1f}h{-width:.1f}z"


def _line(points: Iterable[tuple[float, float]]) -> str:
    """Join the points of minutes that follow each other; one alone is a dot."""
    drawn, last = [], -math.inf
    for x, y in points:
        drawn.append(f"L{x:.1f} {y:.1f}" if x - last < STEP * 1.5 else f"M{x:.1f} {y:.1f}h.1")
        last = x
    return "".join(drawn)


def _whole_steps(most: int) -> list[int]:
    """Return 0 and the lines above it at a round distance, the last at or above the highest bar."""
    step = next(
        width * 10**power
        for power in range(10)
        for width in (1, 2, 5)
        if width * 10**power * MOST_LINES >= most
    )  # fmt: skip
    return [step * number for number in range(max(1, -(-most // step)) + 1)]


def _along(flow: Flow) -> list[Tick]:
    moments = [flow.since + timedelta(minutes=number) for number in range(MINUTES)]
    return [Tick(_x(flow.since, at) + STEP / 2, f"{at:%H:%M}") for at in moments if at.minute % LABELLED == 0]


def _told(flow: Flow, words: Sequence[str]) -> list[Minute]:
    return [
        Minute(round(_x(flow.since, row.minute), 1), f"{row.minute:%H:%M}: {said}")
        for row, said in zip(flow.minutes, words, strict=True)
    ]
