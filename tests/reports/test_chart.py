"""The pictures: what is in them, and that they fetch and run nothing."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from orderapp.reports.chart import COLOURS, orders_chart, revenue_chart

Chart = Callable[[list[dict[str, Any]], str, str], bytes]

SVG = "{http://www.w3.org/2000/svg}"

NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}

CHARTS = pytest.mark.parametrize("chart", [revenue_chart, orders_chart])


def rows(count: int, currency: str = "EUR") -> list[dict[str, Any]]:
    """Return rows as ``queries.daily_sales`` gives them."""
    first = date(2025, 7, 1)
    return [
        {
            "day": first + timedelta(days=number),
            "currency": currency,
            "revenue": Decimal(1234 * number) / 100,
            "orders": 20 + number,
            "cancelled": 2,
            "failed": 3,
        }
        for number in range(count)
    ]


def texts(picture: bytes) -> list[str]:
    """Return every piece of text that is drawn or read out."""
    root = ET.fromstring(picture)
    return [node.text for node in root.iter() if node.text and node.tag != f"{SVG}style"]


@CHARTS
@pytest.mark.parametrize("count", [0, 1, 45, 366])
def test_the_picture_is_valid_and_needs_nothing_from_outside(chart: Chart, count: int) -> None:
    """No script, no handler, no style sheet, font or picture from anywhere: fit for the strictest policy."""
    picture = chart(rows(count), "EUR", "Europe/Berlin")
    root = ET.fromstring(picture)
    assert root.tag == f"{SVG}svg"
    assert set(re.findall(r"https?://[^\"'\s<>)]*", picture.decode())) <= NAMESPACES
    assert not re.search(rb"<script|javascript:|@import|url\(|<\?xml-stylesheet|\bsrc=|<foreignObject|<!--", picture)
    names = {name.rpartition("}")[2] for node in root.iter() for name in node.attrib}
    assert not {name for name in names if name.startswith("on") or name == "href"}


@CHARTS
def test_title_units_days_and_time_zone_are_named(chart: Chart) -> None:
    """As the picture's own title too, which a screen reader says."""
    picture = chart(rows(45), "EUR", "Europe/Berlin")
    root, words = ET.fromstring(picture), texts(picture)
    title = root.findtext(f"{SVG}title") or ""
    assert "per day, in EUR (days in Europe/Berlin)" in title
    assert title in words
    assert {"Revenue (EUR)", "Orders"} & set(words)
    assert "2025-07-01" in words


def test_values_are_those_of_the_rows() -> None:
    """Money with two decimals, only of the currency that the axis names."""
    words = texts(revenue_chart([*rows(3), *rows(1, "USD")], "EUR", "UTC"))
    assert [word for word in words if word in {"0.00", "12.34", "24.68"}]
    assert "24.68" in words


def test_each_series_of_orders_has_a_colour_of_its_own() -> None:
    """From the palette for the colour-blind, with a legend in words."""
    picture = orders_chart(rows(5), "EUR", "UTC")
    assert all(colour.encode() in picture for colour in COLOURS)
    assert {"Confirmed", "of these cancelled", "Failed"} <= set(texts(picture))


def test_few_orders_are_labelled_with_whole_numbers() -> None:
    """Two and a half orders do not exist."""
    few = [row | {"orders": 2, "cancelled": 0, "failed": 1} for row in rows(3)]
    root = ET.fromstring(orders_chart(few, "EUR", "UTC"))
    axis = next(node for node in root.iter(f"{SVG}g") if node.get("class", "").startswith("axis y"))
    assert [node.text for node in axis.iter(f"{SVG}text")] == ["0", "1", "2"]


@CHARTS
def test_no_summaries_are_said_to_be_none(chart: Chart) -> None:
    """Instead of an empty frame."""
    assert "No day is summarised yet" in texts(chart([], "EUR", "UTC"))


@CHARTS
def test_what_is_written_into_it_cannot_leave_its_place(chart: Chart) -> None:
    """Settings are trusted, and escaped all the same."""
    ET.fromstring(chart(rows(1, "<&>"), "<&>", '"</title><script>'))
