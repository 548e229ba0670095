"""``flask webhooks``: a receiver for trying things out, a look at deliveries, and sending one again."""

from dataclasses import asdict

import click
import orjson
from flask import current_app
from flask.cli import AppGroup
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config import Settings
from orderapp.audit import terminal_actor
from orderapp.database import reading
from orderapp.errors import OrderAppError
from orderapp.loop import StopSignal, run

from . import queries
from .endpoint import endpoint_of
from .queries import Delivery
from .receiver import Receiver
from .replaying import resend as resend_delivery

# The highest TCP port there is.
LAST_PORT = 65535

# Deliveries shown without --limit: one screen.
ONE_SCREEN = 50

STATES = ["pending", "succeeded", "exhausted", "disabled"]

webhooks_cli = AppGroup("webhooks", help="Receive, look at and resend webhooks.")


@webhooks_cli.command()
@click.option("--port", type=click.IntRange(0, LAST_PORT), help="Default: RECEIVER_PORT; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 in a container.")
@click.option("--secret", help="Default: WEBHOOK_SECRET.")
def listen(port: int | None, host: str, secret: str | None) -> None:
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
        receiver = Receiver(port, secret, lambda webhook: console.print(str(webhook), markup=False, soft_wrap=True), host)
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}; choose another with --port") from error
    with receiver:
        console.print(f"listening on http://{host}:{receiver.server_port}/", soft_wrap=True)
        run(receiver.run_once, stop)


@webhooks_cli.command()
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--order", "order_id", type=int, help="Only those of this order.")
@click.option("--limit", type=click.IntRange(1), default=ONE_SCREEN, show_default=True, help="At most so many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON for machines.")
def deliveries(state: str | None, order_id: int | None, limit: int, as_json: bool) -> None:
    """List deliveries, newest first, with what became of their last attempt."""
    with reading() as session:
        rows = queries.deliveries(session, state, order_id, limit)
    if as_json:
        click.echo(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2).decode())
    else:
        Console().print(_table(rows))


def _table(rows: list[Delivery]) -> Table:
    table = Table("id", "order", "type", "state", "attempts", "due", "last answer")
    for row in rows:
        due = f"{row.due_at:%Y-%m-%d %H:%M:%S %z}" if row.state == "pending" else ""
        answer = escape(row.error or str(row.status_code or ""))
        table.add_row(str(row.id), str(row.order_id), row.type, row.state, str(row.attempt), due, answer)
    return table


@webhooks_cli.command()
@click.argument("delivery_id", type=int)
def resend(delivery_id: int) -> None:
    """Send an exhausted or disabled delivery again, now."""
    if endpoint_of(current_app.extensions["settings"]) is None:
        raise click.ClickException("WEBHOOK_URL is not set: there is nowhere to send it")
    try:
        resend_delivery(delivery_id, terminal_actor())
    except OrderAppError as error:
        raise click.ClickException(str(error)) from error
    Console().print(f"delivery {delivery_id} is due now; the relay and a worker send it")
