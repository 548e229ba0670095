"""Doors: ``flask audit`` and ``flask doctor``."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import SQLAlchemyError

from orderapp import tables
from orderapp.monitoring import auditing, rounds
from orderapp.monitoring.findings import Notice, Report, Violation

# What a script sees: violations must not be taken for "could not look".
INCONSISTENT, COULD_NOT_RUN = 1, 2


@click.command("audit")
@click.option("--full", is_flag=True, help="Check everything, not only what changed since the last clean run.")
@click.option("--webhooks-since", type=click.DateTime(), help="From when (UTC) every outcome has a delivery; remembered.")
@click.option(
    "--overdue",
    type=click.IntRange(1, 100_000),
    default=int(auditing.OVERDUE.total_seconds() // 60),
    show_default=True,
    help="Minutes that a rescue may be late.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def audit(full: bool, webhooks_since: datetime | None, overdue: int, as_json: bool) -> None:
    """Compare the database with itself: stock, orders, events, webhooks.

    Exit code 0: consistent; 1: violations, named with their ids; 2: could not run.
    """
    scope = auditing.Scope(
        everything=full,
        webhooks=current_app.extensions["settings"].webhook_url is not None,
        webhooks_since=webhooks_since.replace(tzinfo=UTC) if webhooks_since else None,
        overdue=timedelta(minutes=overdue),
    )
    try:
        with _progress() as progress:
            report = auditing.audit(scope, progress)
    except SQLAlchemyError as error:
        click.echo(f"The audit could not run: {_reason(error)}", err=True)
        raise SystemExit(COULD_NOT_RUN) from error
    _print(report, as_json=as_json)
    if not report.consistent:
        raise SystemExit(INCONSISTENT)


@contextmanager
def _progress() -> Iterator[auditing.Progress]:
    """Show a bar on the terminal's error stream, from the first chunk of a full run on; nothing where no terminal is."""
    console = Console(stderr=True)
    columns = (TextColumn("orders"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("orders", total=None, visible=False)
        yield lambda reached, last: bar.update(task, completed=reached, total=last, visible=True)


def _reason(error: SQLAlchemyError) -> str:
    """Return the first line of what PostgreSQL said, without the statement."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(current_app.json.dumps({"consistent": report.consistent, **asdict(report)}))
        return
    found: tuple[Violation | Notice, ...] = (*report.violations, *report.notices)
    tables.show([_row(one) for one in found], as_json=False, empty="No violation.")
    for one in found:
        click.echo(f"{one.name}: {one.sentence}")
    scope = f"changed since the clean run of {report.since:%Y-%m-%d %H:%M:%S %Z}" if report.since else "in all"
    verdict = "consistent" if report.consistent else "NOT consistent"
    click.echo(f"{verdict}: {report.orders} order(s) {scope} and every product's stock, in {report.seconds:.1f} s.")


def _row(one: Violation | Notice) -> dict[str, object]:
    subject = one.subject if isinstance(one, Violation) else "warning"
    shown = " ".join(str(subject_id) for subject_id in one.ids)
    more = " ..." if one.count > len(one.ids) > 0 else ""
    return {"violation": one.name, "of": subject, "count": one.count, "ids": f"{shown}{more}"}


@click.command("doctor")
@click.option("--management", metavar="URL", help="RabbitMQ's management API, if not at port 15672 of the broker's host.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def doctor(management: str | None, as_json: bool) -> None:
    """Look at what the service stands on: settings, PostgreSQL, RabbitMQ, the way to receivers. Changes nothing.

    Each finding says what to do. Exit code 0: no fault, perhaps warnings; 1: a fault.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - checks run in threads
    found = rounds.examine(app, app.extensions["settings"], management)
    tables.show([asdict(finding) for finding in found], as_json=as_json, empty="")
    count = Counter(finding.state for finding in found)
    if not as_json:
        click.echo(f"{count['fault']} fault(s), {count['warning']} warning(s), {count['ok']} ok.")
    if count["fault"]:
        raise SystemExit(1)
