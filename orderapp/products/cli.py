"""Door: ``flask products``."""

from decimal import Decimal, InvalidOperation

import click
from flask.cli import AppGroup

from orderapp import tables
from orderapp.audit import terminal_actor
from orderapp.database import reading
from orderapp.errors import InvalidInputError
from orderapp.products import editing, queries, seeding

products_cli = AppGroup("products", help="What is sold.")


@products_cli.command("seed")
@click.option(
    "--count", type=click.IntRange(0, 1_000_000), default=0, help="Add products for load tests up to this many in all."
)
def seed(count: int) -> None:
    """Create the example products (Laptop, Mouse); running it again changes nothing."""
    click.echo(f"{seeding.seed_products(count)} product(s) created.")


@products_cli.command("add")
@click.argument("name")
@click.option("--price", required=True, help="Amount with at most two decimals.")
@click.option("--stock", type=int, default=0, show_default=True, help="Units there are now.")
def add(name: str, price: str, stock: int) -> None:
    """Create a product."""
    try:
        product_id = editing.create_product(name, Decimal(price), stock, actor=terminal_actor())
    except InvalidOperation as error:
        raise click.BadParameter(f"{price!r} is no amount.", param_hint="--price") from error
    except InvalidInputError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Product {product_id} created.")


@products_cli.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_all(limit: int, as_json: bool) -> None:
    """List products with their stock."""
    with reading() as session:
        rows = queries.list_products(session, limit)
    tables.show(rows, as_json=as_json, empty="There are no products: flask products seed.")
