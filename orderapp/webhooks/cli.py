"""``flask webhooks``: endpoints, deliveries, sending again, and a receiver for trying things out."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC
from typing import Any, TypeVar

import click
import orjson
from flask import current_app
from flask.cli import AppGroup
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config import Settings
from orderapp import tables
from orderapp.audit import terminal_actor
from orderapp.database import reading
from orderapp.errors import OrderAppError
from orderapp.loop import StopSignal, run

from . import queries, registering, replaying
from .drafts import EVENT_TYPES, Draft
from .queries import STATES, Delivery, Wanted
from .receiver import Behaviour, Receiver

T = TypeVar("T")

# The highest TCP port there is.
LAST_PORT = 65535

# What HTTP has for answers; 1xx are none.
LOWEST_STATUS, HIGHEST_STATUS = 200, 599

# Deliveries shown without --limit: one screen.
ONE_SCREEN = 50

webhooks_cli = AppGroup("webhooks", help="Receive, look at and resend webhooks.")


@webhooks_cli.command()
@click.option("--port", type=click.IntRange(0, LAST_PORT), help="Default: RECEIVER_PORT; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 in a container.")
@click.option("--secret", help="Default: WEBHOOK_SECRET.")
@click.option("--status", type=click.IntRange(LOWEST_STATUS, HIGHEST_STATUS), help="Misbehave: answer this to all.")
@click.option("--delay", type=click.FloatRange(0), default=0, help="Misbehave: answer so many seconds late.")
@click.option("--hang", is_flag=True, help="Misbehave: never answer.")
def listen(port: int | None, host: str, secret: str | None, **misbehaviour: Any) -> None:
    """Print and verify the webhooks that arrive, until Ctrl-C."""
    settings: Settings = current_app.extensions["settings"]
    secret = secret or settings.webhook_secret
    if not secret:
        raise click.UsageError("give --secret, or set WEBHOOK_SECRET")
    port = settings.receiver_port if port is None else port
    console = Console(highlight=False)
    stop = StopSignal()
    stop.install()
    try:
        receiver = Receiver(
            port,
            secret,
            lambda webhook: console.print(str(webhook), markup=False, soft_wrap=True),
            host,
            Behaviour(**misbehaviour),
        )
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}; choose another with --port") from error
    with receiver:
        console.print(f"listening on http://{host}:{receiver.server_port}/", soft_wrap=True)
        run(receiver.run_once, stop)


_json = click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
_moment = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--until", type=_moment, help="Created before this moment, in UTC."),
        click.option("--since", type=_moment, help="Created at this moment or later, in UTC: 2030-01-31 or 2030-01-31T12:00."),
        click.option("--type", "type_", type=click.Choice(EVENT_TYPES), help="Only of this event."),
        click.option("--endpoint", "endpoint_id", type=int, help="Only to this endpoint."),
        click.option("--order", "order_id", type=int, help="Only of this order."),
        click.option("--state", type=click.Choice(STATES), help="Only those in this state."),
    ):
        command = option(command)
    return command


def _wanted(asked: dict[str, Any]) -> Wanted:
    since, until = (moment and moment.replace(tzinfo=UTC) for moment in (asked.pop("since"), asked.pop("until")))
    return Wanted(type=asked.pop("type_"), since=since, until=until, **asked)


@webhooks_cli.command()
@_filters
@click.option("--limit", type=click.IntRange(1), default=ONE_SCREEN, show_default=True, help="At most so many, newest first.")
@_json
def deliveries(limit: int, as_json: bool, **asked: Any) -> None:
    """List deliveries, newest first, with what became of their last attempt."""
    with reading() as session:
        rows = queries.deliveries(session, _wanted(asked), limit)
    if as_json:
        click.echo(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(_table(rows))


def _table(rows: list[Delivery]) -> Table:
    table = Table("id", "endpoint", "order", "type", "state", "attempts", "due", "last answer")
    for row in rows:
        due = f"{row.due_at:%Y-%m-%d %H:%M:%S %z}" if row.state == "pending" else ""
        answer = escape(row.error or str(row.status_code or ""))
        order = str(row.order_id or "")
        table.add_row(str(row.id), str(row.endpoint_id), order, row.type, row.state, str(row.attempt), due, answer)
    return table


@webhooks_cli.command()
@click.argument("delivery_id", type=int)
@_json
def attempts(delivery_id: int, as_json: bool) -> None:
    """List what is kept of a delivery's attempts."""
    with reading() as session:
        rows = [asdict(row) for row in queries.attempts(session, delivery_id)]
    tables.show(rows, as_json=as_json, empty=f"Nothing was sent for delivery {delivery_id}, or its log was pruned.")


@webhooks_cli.command()
@click.argument("delivery_id", type=int, required=False)
@_filters
@click.option("--rate", type=click.IntRange(1), default=queries.USUAL_RATE, show_default=True, help="So many a second.")
@click.option("--yes", is_flag=True, help="Do it; without it the command only counts.")
@click.option("--reason", help="Why, for the audit log.")
def resend(delivery_id: int | None, rate: int, yes: bool, reason: str | None, **asked: Any) -> None:
    """Send one delivery again, or all finished ones that fit the filters: first a count, then --yes sends them."""
    enabled = current_app.extensions["settings"].webhook_url is not None
    if delivery_id is not None:
        act = replaying.resend
        sent = _or_refuse(lambda: act(delivery_id, terminal_actor(), reason, enabled=enabled))
        Console().print(f"delivery {sent} is due now; the relay and a worker send it")
        return
    wanted = _wanted(asked)
    if wanted == Wanted():
        raise click.UsageError("name a delivery, or filters")
    with reading() as session:
        count = queries.count_again(session, wanted, enabled=enabled)
    if not yes:
        Console().print(f"{count} deliveries fit; --yes sends them again, {rate} a second")
        return
    sent = replaying.resend_fitting(wanted, terminal_actor(), enabled=enabled, per_second=rate)
    Console().print(f"{sent} deliveries are due within {-(-sent // rate)} s")


@webhooks_cli.command()
@_json
def endpoints(as_json: bool) -> None:
    """List the endpoints; 1 is the built-in one of WEBHOOK_URL."""
    with reading() as session:
        rows = [asdict(row) for row in queries.endpoints(session)]
    for row in rows:
        row["url"] = row["url"] or "WEBHOOK_URL"
    tables.show(rows, as_json=as_json, empty="There is no endpoint.")


@webhooks_cli.command()
@click.argument("url")
@click.option("--client", help="The API client whose orders it hears of; without it, it hears of all.")
@click.option("--type", "types", multiple=True, type=click.Choice(EVENT_TYPES), help="Give it several times; default: all.")
@click.option("--description", default="", help="For whoever reads the list.")
def create(url: str, client: str | None, types: tuple[str, ...], description: str) -> None:
    """Create an endpoint at URL, and print its secret: this once."""
    owner = None
    if client is not None:
        with reading() as session:
            owner = queries.client_id(session, client)
        if owner is None:
            raise click.ClickException(f"There is no client {client}.")
    hosts = current_app.extensions["settings"].webhook_allowed_hosts
    draft = Draft(url, list(types) or None, description)
    made = _or_refuse(lambda: registering.create_endpoint(draft, owner, hosts, terminal_actor()))
    _show_secret(made.id, made.secret)


@webhooks_cli.command()
@click.argument("endpoint_id", type=int)
def rotate(endpoint_id: int) -> None:
    """Give an endpoint a new secret and print it: this once. For 24 hours the old one signs as well."""
    made = _or_refuse(lambda: registering.rotate_secret(endpoint_id, None, terminal_actor()))
    _show_secret(made.id, made.secret)


@webhooks_cli.command()
@click.argument("endpoint_id", type=int)
@click.option("--reason", help="Why, for the audit log.")
def disable(endpoint_id: int, reason: str | None) -> None:
    """Send nothing more to an endpoint."""
    _or_refuse(lambda: registering.disable_endpoint(endpoint_id, None, terminal_actor(), reason))
    click.echo(f"Endpoint {endpoint_id} is disabled.")


@webhooks_cli.command()
@click.argument("endpoint_id", type=int)
@click.option("--reason", help="Why, for the audit log.")
def enable(endpoint_id: int, reason: str | None) -> None:
    """Send to an endpoint again, of what happens from now on."""
    _or_refuse(lambda: registering.enable_endpoint(endpoint_id, None, terminal_actor(), reason))
    click.echo(f"Endpoint {endpoint_id} is enabled; what it missed: flask webhooks resend --endpoint {endpoint_id} ...")


@webhooks_cli.command()
@click.argument("endpoint_id", type=int)
def test(endpoint_id: int) -> None:
    """Send a ping to an endpoint."""
    delivery_id = _or_refuse(lambda: registering.send_test(endpoint_id, None, terminal_actor()))
    click.echo(f"The ping is delivery {delivery_id}; what came of it: flask webhooks attempts {delivery_id}")


def _show_secret(endpoint_id: int, secret: str) -> None:
    click.echo(f"The secret of endpoint {endpoint_id}; it is not shown again:", err=True)  # apart: SECRET=$(...) works
    click.echo(secret)


def _or_refuse(act: Callable[[], T]) -> T:
    try:
        return act()
    except OrderAppError as error:
        raise click.ClickException(str(error)) from error
