"""Charts of daily sales as SVG, drawn here: no script, nothing from anywhere else, fit for ``<img>`` under any CSP."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from xml.etree.ElementTree import Element

import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

# Three of Okabe and Ito's palette, far apart in lightness too: told apart with any colour blindness, and in print.
COLOURS = ("#0072B2", "#E69F00", "#000000")

# Pixels of the drawing; the picture scales with its frame.
WIDTH, HEIGHT = 960, 360

# Labels along the days: more would run into each other at this width.
MOST_LABELS = 12

# Degrees that they lean, for the same reason.
LEAN = 30

# Counts up to this are labelled one by one: pygal would label halves, and round them to the same number twice.
FEW = 10

STYLE = Style(
    colors=COLOURS,
    opacity=".9",
    background="white",
    plot_background="white",
    font_family="sans-serif",
    guide_stroke_color="#cccccc",
    major_guide_stroke_color="#cccccc",
    no_data_font_size=20,
)

Row = Mapping[str, Any]


def revenue_chart(rows: Sequence[Row], currency: str, timezone: str) -> bytes:
    """Return an SVG of the revenue per day: rows of ``queries.daily_sales``, of which those in this currency are drawn."""
    chart = _bars(f"Revenue per day, in {currency} (days in {timezone})", f"Revenue ({currency})", _money)
    chart.show_legend = False
    return _draw(chart, rows, currency, {"Revenue": "revenue"})


def orders_chart(rows: Sequence[Row], currency: str, timezone: str) -> bytes:
    """Return an SVG of the orders per day: confirmed, of these cancelled, and failed."""
    chart = _bars(f"Orders per day, in {currency} (days in {timezone})", "Orders", _count)
    most = max((max(row["orders"], row["failed"]) for row in rows if row["currency"] == currency), default=0)
    chart.y_labels = list(range(most + 1)) if most <= FEW else None
    return _draw(chart, rows, currency, {"Confirmed": "orders", "of these cancelled": "cancelled", "Failed": "failed"})


def _bars(title: str, unit: str, wording: Callable[[float], str]) -> Any:
    chart = pygal.Bar(
        js=[],
        no_prefix=True,
        style=STYLE,
        width=WIDTH,
        height=HEIGHT,
        title=title,
        y_title=unit,
        value_formatter=wording,
        x_label_rotation=LEAN,
        show_minor_x_labels=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=len(COLOURS),
        no_data_text="No day is summarised yet",
    )
    chart.add_xml_filter(_only_the_drawing)
    return chart


def _draw(chart: Any, rows: Sequence[Row], currency: str, series: Mapping[str, str]) -> bytes:
    drawn = [row for row in rows if row["currency"] == currency]
    days: list[date] = [row["day"] for row in drawn]
    chart.x_labels = [day.isoformat() for day in days]
    step = max(1, -(-len(days) // MOST_LABELS))
    chart.x_labels_major = [day.isoformat() for day in days[::step]]
    for name, column in series.items():
        chart.add(name, [float(row[column]) for row in drawn])
    picture: bytes = chart.render()
    return picture


def _only_the_drawing(root: Element) -> Element:
    """Take out what pygal adds for its own JavaScript, and its greetings, which name web addresses."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.endswith("script"):
                parent.remove(child)
    return root


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"
