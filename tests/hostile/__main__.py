"""``python -m tests.hostile``."""

import secrets
import sys
import time
from pathlib import Path

import click

from tests.hostile.changing import messages
from tests.hostile.judging import BATCH, judge
from tests.journeys.world import World
from tests.servers.environment import forget_the_shell
from tests.servers.run import OwnServers
from tests.servers.waiting import a_place


@click.command()
@click.option("--messages", "count", default=20_000, show_default=True, help="How many.")
@click.option("--seed", type=int, help="Decides them; by chance otherwise.")
def main(count: int, seed: int | None) -> None:
    """Send messages that chance has changed to two workers; exit code 0 when none did harm."""
    forget_the_shell()
    seed = secrets.randbelow(10**9) if seed is None else seed
    click.echo(f"{count} messages of seed {seed}")
    servers = OwnServers()
    try:
        world = World(servers.migrated_database(), servers.virtual_host(), Path(servers.folder) / "output")
        try:
            sys.exit(run(world, seed, count))
        finally:
            world.end()
    finally:
        servers.stop()


def run(shop: World, seed: int, count: int) -> int:
    """Start a shop with some orders behind it and send it the messages, some at a time; returns the exit code."""
    (shop.processes._folder).mkdir(exist_ok=True)
    started = shop.processes
    shop.start(
        web=started.web(),
        relay=started.relay(),
        worker=started.worker(METRICS_LISTEN=a_place()),
        worker2=started.worker(METRICS_LISTEN=a_place()),
    )
    subjects = subjects_of(shop)
    began, everything = time.monotonic(), messages(seed, count, subjects)
    total = judge(shop, (shop.worker, shop.worker2), everything)
    click.echo(f"in {time.monotonic() - began:.0f} s, {BATCH} at a time: {total}; no process ended, nothing changed")
    return 0


def subjects_of(shop: World) -> list[int]:
    """Return ids of orders and deliveries that are over, and of none: whatever a message says of them, it comes too late."""
    lamp = shop.product()
    ids = [shop.place({lamp: 1}) for _ in range(5)]
    shop.wait_settled(ids)
    shop.check()
    return [*ids, 10**9]


if __name__ == "__main__":
    main()
