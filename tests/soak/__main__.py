"""``python -m tests.soak SCENARIO``."""

import sys

import click

from tests.soak.alerts import alerts
from tests.soak.backlog import backlog
from tests.soak.batching import batching
from tests.soak.cluster import cluster
from tests.soak.isolation import hanging, returned
from tests.soak.kills import soak
from tests.soak.memory import memory
from tests.soak.million import million
from tests.soak.outages import database, outage, wiped
from tests.soak.panel import panel

RATE = click.option("--rate", type=float, default=15, show_default=True, help="Orders per second.")
SEED = click.option("--seed", type=int, default=1, show_default=True, help="Repeats the orders and the schedule of faults.")


@click.group()
def main() -> None:
    """Run one scenario on servers of its own; exit code 0 when its verdict is clean."""


@main.command("kills")
@click.option("--seconds", type=float, default=600, show_default=True, help="How long the load lasts.")
@click.option("--every", type=float, default=6, show_default=True, help="Seconds from fault to fault, on average.")
@RATE
@SEED
def kills_(seconds: float, every: float, rate: float, seed: int) -> None:
    """Mixed load while processes die, links fail, queues are lost and servers restart or raise alarms."""
    sys.exit(not soak(seconds, seed, rate, every).clean)


@main.command("outage")
@click.option("--seconds", type=float, default=60, show_default=True)
@RATE
@SEED
def outage_(seconds: float, rate: float, seed: int) -> None:
    """RabbitMQ is away under load."""
    sys.exit(not outage(seconds, rate, seed).clean)


@main.command("wiped")
@click.option("--times", type=int, default=3, show_default=True)
@RATE
@SEED
def wiped_(times: int, rate: float, seed: int) -> None:
    """RabbitMQ loses its data directory under load."""
    sys.exit(not wiped(times, rate, seed).clean)


@main.command("cluster")
@click.option("--orders", type=int, default=5000, show_default=True)
@RATE
@SEED
def cluster_(orders: int, rate: float, seed: int) -> None:
    """Kill the node that leads the queues of a RabbitMQ cluster of three, under load."""
    sys.exit(not cluster(orders, rate, seed).clean)


@main.command("database")
@click.option("--seconds", type=float, default=30, show_default=True)
@click.option("--orders", type=int, default=5000, show_default=True)
@RATE
@SEED
def database_(seconds: float, orders: int, rate: float, seed: int) -> None:
    """PostgreSQL is away while orders are queued."""
    sys.exit(not database(seconds, orders, rate, seed).clean)


@main.command("backlog")
@click.option("--seconds", type=float, default=300, show_default=True)
@click.option("--orders", type=int, default=20_000, show_default=True)
def backlog_(seconds: float, orders: int) -> None:
    """Measure what the rescuer costs a long backlog behind a slow worker."""
    sys.exit(not backlog(seconds, orders))


@main.command("alerts")
def alerts_() -> None:
    """Let every alert fire for its own cause, and end by the runbook."""
    sys.exit(not alerts())


@main.command("batching")
def batching_() -> None:
    """Compare the relay and the settling with doing it one at a time."""
    sys.exit(not batching())


@main.command("memory")
@click.option("--first", type=int, default=5000, show_default=True)
@click.option("--last", type=int, default=50_000, show_default=True)
def memory_(first: int, last: int) -> None:
    """Compare the memory of relay and worker after some orders and after many."""
    sys.exit(not memory(first, last))


@main.command("audit")
@click.option("--orders", type=int, default=1_000_000, show_default=True)
def audit_(orders: int) -> None:
    """Time an audit of everything and of what changed."""
    sys.exit(not million(orders))


ROUNDS = click.option("--rounds", type=int, default=3, show_default=True, help="The median of so many counts.")


@main.command("hanging")
@click.option("--seconds", type=float, default=20, show_default=True, help="Of each phase.")
@ROUNDS
@RATE
def hanging_(seconds: float, rounds: int, rate: float) -> None:
    """Measure what a receiver that never answers costs another one and orders."""
    sys.exit(not hanging(seconds, rounds, rate))


@main.command("returned")
@click.option("--seconds", type=float, default=20, show_default=True, help="Of each phase.")
@click.option("--webhooks", type=int, default=100_000, show_default=True)
@ROUNDS
@RATE
def returned_(seconds: float, webhooks: int, rounds: int, rate: float) -> None:
    """Measure what a receiver that is back and gets all that it missed costs new orders."""
    sys.exit(not returned(seconds, rounds, rate, webhooks))


@main.command("panel")
@click.option("--orders", type=int, default=1_000_000, show_default=True)
@click.option("--times", type=int, default=40, show_default=True, help="How often each page is asked for.")
def panel_(orders: int, times: int) -> None:
    """Time every page of the panel on a large database."""
    sys.exit(not panel(orders, times))


main()
