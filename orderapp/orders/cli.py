"""Door: ``flask orders``."""

import click
from flask import current_app
from flask.cli import AppGroup

from orderapp.audit import terminal_actor
from orderapp.database import LAST_ID, reading
from orderapp.errors import ConflictError, NotFoundError
from orderapp.orders import cancelling, queries, retrying

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
