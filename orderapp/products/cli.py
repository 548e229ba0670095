"""Door: ``flask products``."""

import click
from flask.cli import AppGroup

from orderapp.products import editing

products_cli = AppGroup("products", help="What is sold.")


@products_cli.command("seed")
@click.option(
    "--count", type=click.IntRange(0, 1_000_000), default=0, help="Add products for load tests up to this many in all."
)
def seed(count: int) -> None:
    """Create the example products (Laptop, Mouse); running it again changes nothing."""
    created = editing.seed_products(count)
    click.echo(f"{created} product(s) created.")
