"""Door: ``flask reports``."""

import csv
import io
from datetime import date
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup

from orderapp import tables
from orderapp.database import reading
from orderapp.reports import queries, summarising
from orderapp.reports.days import DayError, parse_day, period, span, today, zone_named

reports_cli = AppGroup("reports", help="What the days of sales came to.")


class Day(click.ParamType[date]):
    """A day such as 2026-01-31."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day."""
        try:
            return value if isinstance(value, date) else parse_day(value, date.max)
        except DayError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@reports_cli.command("daily")
@click.option("--from", "first", type=Day(), help="First day; by default 29 days before the last.")
@click.option("--to", "last", type=Day(), help="Last day; by default today in REPORT_TIMEZONE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def daily(first: date | None, last: date | None, as_json: bool, as_csv: bool) -> None:
    """Show the summaries of days, by day and currency.

    Orders were confirmed that day, cancelled later or not; cancelled says how many of them were, whenever that was. Items,
    revenue, average and top products leave these out. Failed orders failed that day and stayed so. Days are cut in
    REPORT_TIMEZONE; one that is not summarised yet is left out.
    """
    try:
        days = period(first, last, zone_named(current_app.extensions["settings"].report_timezone))
    except DayError as error:
        raise click.BadParameter(str(error), param_hint="--from") from error
    with reading() as session:
        rows = queries.daily_sales(session, *days)
    if as_csv:
        click.echo(_as_csv(rows), nl=False)
        return
    if not as_json:
        rows = [_for_people(row) for row in rows]
    tables.show(rows, as_json=as_json, empty="No day of these is summarised yet.")


@reports_cli.command("summarise")
@click.argument("day", type=Day())
@click.option("--to", "last", type=Day(), help="Summarise every day up to this one.")
def summarise(day: date, last: date | None) -> None:
    """Add up the sales of DAY again, or of all days from DAY to the one given.

    What Beat's tick does by itself for yesterday, missed days and days with late cancellations. Needed after REPORT_TIMEZONE
    was changed.
    """
    settings = current_app.extensions["settings"]
    zone = zone_named(settings.report_timezone)
    last = last or day
    if not day <= last <= today(zone):
        raise click.ClickException(f"Give days up to today, {today(zone)}, the earlier one first.")
    days = span(day, last)
    written = sum(summarising.summarise_day(one, zone, settings.currency) for one in days)
    click.echo(f"{written} day(s) summarised, {len(days) - written} left to whoever is writing them now.")


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    best = ", ".join(f"{one['name']} ({one['units']})" for one in row["top_products"])
    return row | {"top_products": best, "summarised_at": row["summarised_at"].strftime("%Y-%m-%d %H:%M %Z")}


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """Return the rows with a heading; top products as JSON in one cell."""
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(queries.COLUMNS)
    for row in rows:
        cells = row | {
            "top_products": current_app.json.dumps(row["top_products"]),
            "summarised_at": row["summarised_at"].isoformat(),
        }
        writer.writerow(cells.values())
    return page.getvalue()
