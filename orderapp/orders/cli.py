"""Door: ``flask orders``."""

import click
from flask import current_app
from flask.cli import AppGroup

from orderapp.database import LAST_ID, reading
from orderapp.orders import queries

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
