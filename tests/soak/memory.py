"""Relay and worker need no more memory after many orders than after some."""

from pathlib import Path

import click

from tests.servers import children
from tests.servers.waiting import wait_until
from tests.soak.load import PLENTY
from tests.soak.planting import plant
from tests.soak.shop import Shop, a_shop

# Bytes that a relay or a worker with its children may grow.
MOST = 20 * 1024 * 1024

# Orders written at a time; more would be one transaction of many seconds.
AT_ONCE = 5000

# Seconds for so many to be settled and their webhooks to be published.
SETTLED = 120

_PAGE = 4096


def memory(first: int, last: int) -> bool:
    """Compare the memory after ``first`` orders with that after ``last``; returns whether both stay within MOST."""
    with a_shop() as shop:
        shop.open("relay", "worker")
        products = [shop.world.product(PLENTY) for _ in range(9)]
        _settle(shop, products, first, done=0)
        before = _used(shop)
        _settle(shop, products, last, done=first)
        after = _used(shop)
    grown = {role: after[role] - before[role] for role in before}
    for role, size in grown.items():
        megabytes = f"{before[role] / 2**20:.1f} MB after {first} orders, {after[role] / 2**20:.1f} after {last}"
        click.echo(f"{role}: {megabytes}: {size / 2**20:+.1f} MB")
    return all(size <= MOST for size in grown.values())


def _settle(shop: Shop, products: list[int], until: int, done: int) -> None:
    for start in range(done, until, AT_ONCE):
        plant(shop.world, products, min(AT_ONCE, until - start), f"{start}")
        wait_until(lambda: not shop.unrest().keys() & {"orders", "outbox"}, SETTLED, "the orders to be settled")


def _used(shop: Shop) -> dict[str, int]:
    """Return the resident bytes of each role's processes together."""
    return {role: sum(map(_resident, children.family(process.pid))) for role, process in shop.processes.items()}


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
