"""Door: ``flask orders``."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import AppGroup
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orderapp import tables
from orderapp.audit import terminal_actor
from orderapp.database import LAST_ID, reading
from orderapp.errors import ConflictError, NotFoundError
from orderapp.orders import cancelling, queries, retrying, simulating
from orderapp.orders.simulator import ApiError, Clients

# One per thread of the web's default two processes; more would only wait there.
CONNECTIONS = 16

# Seconds: a lost message costs up to 35, and the rescue of it may wait for another.
WAIT = 60

orders_cli = AppGroup("orders", help="Orders, seen by the operator.")


@orders_cli.command("show")
@click.argument("order_id", type=click.IntRange(1, LAST_ID))
def show(order_id: int) -> None:
    """Print an order as JSON, with its claim and its events."""
    with reading() as session:
        order = queries.get_order(session, order_id)
        if order is None:
            raise click.ClickException(f"There is no order {order_id}.")
        processing = queries.processing_of(session, order_id)
    click.echo(current_app.json.dumps({"order": order, "processing": processing}))


@orders_cli.command("cancel")
@click.argument("order_id", type=click.IntRange(1, LAST_ID))
@click.option("--reason", help="Why, for the audit log.")
def cancel(order_id: int, reason: str | None) -> None:
    """Cancel a pending or confirmed order; what it had bought goes back to stock."""
    try:
        cancelling.cancel_order(order_id, terminal_actor(), reason)
    except (NotFoundError, ConflictError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Order {order_id} cancelled.")


@orders_cli.command("retry")
@click.argument("order_id", type=click.IntRange(1, LAST_ID))
@click.option("--reason", help="Why, for the audit log.")
def retry(order_id: int, reason: str | None) -> None:
    """Send a failed order through the pipeline again."""
    try:
        retrying.retry_order(order_id, terminal_actor(), reason)
    except (NotFoundError, ConflictError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Order {order_id} is pending again.")


@orders_cli.command("simulate")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Orders to place.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=100, show_default=True, help="Orders per second.")
@click.option("--url", help="Where the API is; by default on this machine, at PORT.")
@click.option("--key", help="API key, where the API wants one.")
@click.option("--connections", type=click.IntRange(1, 500), default=CONNECTIONS, show_default=True)
@click.option("--seed", type=int, help="Repeats a run's orders; by default random.")
@click.option("--wait", type=click.FloatRange(0), default=WAIT, show_default=True, help="Seconds for the last to settle.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(
    *, count: int, rate: float, url: str | None, key: str | None, connections: int, seed: int | None, wait: float, as_json: bool
) -> None:
    """Place random orders over HTTP, on products made for it, and tell what became of them.

    Exit code 0: all settled, stock and ledger agree; 1: not so, or the API cannot be reached.
    """
    settings = current_app.extensions["settings"]
    if settings.app_env == "production":
        raise click.ClickException("APP_ENV is production: receivers of webhooks would take these orders for real ones.")
    seed = secrets.randbits(32) if seed is None else seed
    plan = simulating.Plan(count, rate, connections, seed, wait)
    try:
        with _bars(count) as progress:
            clients = Clients(url or f"http://127.0.0.1:{settings.port}", key)
            report = simulating.simulate(plan, clients, terminal_actor(), progress)
    except ApiError as error:
        raise click.ClickException(str(error)) from error
    _print(report, seed, as_json=as_json)
    if not report.good:
        raise SystemExit(1)


@contextmanager
def _bars(count: int) -> Iterator[simulating.Progress]:
    """Show what was posted and what is settled on the terminal's error stream; nothing where no terminal is."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        posted, settled = bars.add_task("posted", total=count), bars.add_task("settled", total=count)

        def progress(posted_now: int, settled_now: int) -> None:
            bars.update(posted, completed=posted_now)
            bars.update(settled, completed=settled_now)

        yield progress


def _print(report: simulating.Report, seed: int, *, as_json: bool) -> None:
    outcome = asdict(report.outcome)
    del outcome["known"]
    row = {"accepted": report.accepted, "unanswered": report.unanswered, "lost": report.lost, **outcome}
    row |= {"per_second": report.per_second, "conserved": "yes" if report.conserved else "no"}
    if as_json:
        click.echo(current_app.json.dumps(row | {"conserved": report.conserved, "seed": seed, "good": report.good}))
        return
    tables.show([row], as_json=False, empty="")
    verdict = "good: all settled, stock and ledger agree" if report.good else "NOT good"
    click.echo(f"{verdict}; --seed {seed} repeats these orders.")
