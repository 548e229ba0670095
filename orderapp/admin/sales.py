"""Page: what the days of sales came to, as Beat's summaries tell it; the charts are pictures of their own."""

import re
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from flask import Response, abort, current_app, flash, request
from flask_admin import BaseView, expose

from orderapp.admin import formats, rights
from orderapp.admin.filters import Filter
from orderapp.database import reading
from orderapp.reports import chart, queries
from orderapp.reports.days import DayError, parse_day, period, zone_named

# A picture that somebody opens by itself: it may style its own bars, and nothing else.
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"

_CURRENCY = re.compile(r"[A-Z]{3}")

COLUMNS = (
    ("day", "Day"),
    ("revenue", "Revenue"),
    ("orders", "Orders"),
    ("cancelled", "Cancelled"),
    ("failed", "Failed"),
    ("items", "Items"),
    ("average", "Average"),
    ("top_products", "Top products"),
)

# Of a currency's days, what may be added up: averages may not.
SUMS = (("revenue", "Revenue"), ("orders", "Orders"), ("cancelled", "of these cancelled"), ("failed", "Failed"))


class SalesView(BaseView):
    """One row per day and currency; per currency, its sums and two charts."""

    panel_filters = (Filter("from", "From", "date"), Filter("to", "to", "date"))

    def is_accessible(self) -> bool:
        """Tell whether the menu offers this page; the gate has asked already."""
        return rights.may(f"{self.endpoint}.index_view")

    @expose("/")
    def index_view(self) -> str:
        """Show the days asked for, newest first."""
        try:
            days = _days_asked()
            rows = _rows(*days)
        except DayError as error:
            flash(str(error), "error")
            days, rows = None, []
        words = {"days": days, "timezone": _timezone(), "sums": _sums(rows), "columns": COLUMNS, "cell": _cell}
        return str(self.render("panel/sales.html", rows=rows[::-1], **words))

    @expose("/revenue.svg")
    def revenue_view(self) -> Response:
        """Draw the revenue of the days asked for."""
        return _picture(chart.revenue_chart)

    @expose("/orders.svg")
    def orders_view(self) -> Response:
        """Draw the orders of the days asked for."""
        return _picture(chart.orders_chart)


def _days_asked() -> tuple[date, date]:
    """Return the first and the last day asked for. Raises DayError."""
    first, last = (parse_day(raw, date.max) if raw else None for raw in (each.raw for each in SalesView.panel_filters))
    return period(first, last, zone_named(_timezone()))


def _timezone() -> str:
    return str(current_app.extensions["settings"].report_timezone)


def _rows(first: date, last: date) -> list[dict[str, Any]]:
    with reading() as session:
        return queries.daily_sales(session, first, last)


def _sums(rows: list[dict[str, Any]]) -> dict[str, list[tuple[str, Any]]]:
    """Return what the rows of each currency come to, with its words."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for currency in sorted({row["currency"] for row in rows}):
        days = [row for row in rows if row["currency"] == currency]
        found[currency] = [(words, formats.cell(sum(row[name] for row in days))) for name, words in SUMS]
    return found


def _cell(row: dict[str, Any], column: str) -> Any:
    if column in {"revenue", "average"}:
        return f"{row[column]:,} {row['currency']}"
    if column == "top_products":
        return ", ".join(f"{one['name']} ({one['units']})" for one in row[column]) or formats.cell(None)
    return formats.cell(row[column])


def _picture(draw: Callable[[Sequence[chart.Row], str, str], bytes]) -> Response:
    currency = request.args.get("currency", "")
    if not _CURRENCY.fullmatch(currency):
        abort(400, "The currency is not one of three capital letters.")
    try:
        rows = _rows(*_days_asked())
    except DayError as error:
        abort(400, str(error))
    picture = Response(draw(rows, currency, _timezone()), mimetype="image/svg+xml")
    picture.headers["Content-Security-Policy"] = _PICTURE_POLICY
    return picture
