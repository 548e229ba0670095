"""How values look on a page. Everything goes through Jinja's escaping; only the badge adds markup of its own."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from flask import url_for
from markupsafe import Markup, escape

# Bootstrap's colours. Never the colour alone: the word stands in the badge.
_COLOURS = {
    "pending": "secondary",
    "processing": "info",
    "confirmed": "success",
    "succeeded": "success",
    "failed": "danger",
    "exhausted": "danger",
    "cancelled": "dark",
    "disabled": "dark",
    "archived": "dark",
    "on sale": "success",
    "active": "success",
}

# Why orders fail, in words; a code that is not here shows as it is.
CAUSES = {"insufficient_stock": "not enough stock", "processing_error": "processing broke off three times"}

# Of each unit: its seconds, below how many seconds it is used, and decimals. Two minutes are easier in seconds.
_TIMES = (
    ("ms", 0.001, 1, 0),
    ("s", 1, 10, 1),
    ("s", 1, 120, 0),
    ("min", 60, 7_200, 0),
    ("h", 3_600, 172_800, 0),
    ("d", 86_400, float("inf"), 0),
)

# Characters of a JSON value in a list; the whole stands in its title.
LONGEST_CELL = 300


def cell(value: Any) -> str | Markup:
    """Return a value as people read it: times in UTC, money as it is, JSON in one line."""
    if value is None or value == "":
        return Markup('<span class="text-muted">&ndash;</span>')
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return Markup("<time>{}</time>").format(f"{value:%Y-%m-%d %H:%M:%S}")
    if isinstance(value, dict | list):
        words = orjson.dumps(value).decode()
        short = words if len(words) <= LONGEST_CELL else f"{words[:LONGEST_CELL]}…"
        return Markup('<code title="{}">{}</code>').format(words, short)
    return f"{value:,}" if isinstance(value, Decimal) else str(value)


def seconds(value: Any) -> str:
    """Return a time as people say it: 12 ms, 3.4 s, 75 s, 12 min, 5 h, 3 d."""
    for unit, length, below, decimals in _TIMES:
        if value < below:
            return f"{round(float(value) / length, decimals):g} {unit}"
    raise ValueError(value)


def share(part: int, whole: int) -> str:
    """Return a part in per cent, rounded down: 100 % is all of them."""
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10} %" if tenths % 10 else f"{tenths // 10} %"


def growth(new: Any, old: Any) -> str:
    """Return by how many per cent ``new`` is above or below ``old``, which is not zero."""
    return f"{float(new / old - 1) * 100:+,.1f} %"


def badge(word: str) -> Markup:
    """Return a state as a coloured word."""
    return Markup('<span class="badge badge-{}">{}</span>').format(_COLOURS.get(word, "light"), word)


def link(endpoint: str, row_id: int | None, words: Any = None) -> str | Markup:
    """Return a link to the page of a row, for those who may open it."""
    if row_id is None:
        return cell(None)
    return Markup('<a href="{}">{}</a>').format(url_for(endpoint, id=row_id), escape(words if words is not None else row_id))


def shown(row: Any, column: str) -> str | Markup:
    """Return a cell of a table on a row's page; rows come as mappings, dataclasses or database rows."""
    value = row[column] if isinstance(row, dict) else getattr(row, column)
    if column == "order_id":
        return link("admin_orders.details_view", value)
    if column == "product_id":
        return link("admin_products.details_view", value)
    return badge(value) if column == "state" else cell(value)
