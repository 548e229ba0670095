"""``python -m tests.soak``."""

import sys

import click

from tests.soak.kills import soak


@click.group()
def main() -> None:
    """Run one scenario; exit code 0 when its verdict is clean."""


@main.command()
@click.option("--seconds", type=float, default=600, show_default=True, help="How long the load lasts.")
@click.option("--seed", type=int, default=1, show_default=True, help="Repeats the schedule of faults.")
@click.option("--rate", type=float, default=40, show_default=True, help="Orders per second.")
@click.option("--every", type=float, default=6, show_default=True, help="Seconds from fault to fault, on average.")
def kills(seconds: float, seed: int, rate: float, every: float) -> None:
    """Mixed load while processes, connections and queues are killed, purged and deleted."""
    sys.exit(not soak(seconds, seed, rate, every).clean)


main()
