"""A long backlog behind a slow worker, with and without the rescuer: what its copies cost, and that they do nothing."""

import time
from dataclasses import dataclass
from pathlib import Path

import click

from tests.journeys.world import World
from tests.servers import postgres
from tests.servers.postgres import administrate
from tests.soak.account import audit
from tests.soak.load import PLENTY
from tests.soak.planting import plant
from tests.soak.shop import LOOK, Shop, a_shop

# The most that the rescuer may cost of the throughput.
MOST = 0.05

# Seconds between two lines of progress.
TELL = 30

# Orders of which a worker has a few batches in hand.
AT_LEAST_LEFT = 300

# Seconds that each settling of a batch is made to take, so that 20,000 orders last for five minutes.
SLOW = 1.45

_SLOW = """
CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON stock_movements FOR EACH STATEMENT EXECUTE FUNCTION wait_a_while();
"""

_TWICE = """
SELECT count(*) FROM orders WHERE attempts > 1
    OR (status = 'confirmed') <> (2 = (SELECT count(*) FROM stock_movements WHERE order_id = orders.id AND kind = 'sale'))
"""


@dataclass
class Arm:
    """One of the two services that are compared."""

    name: str
    world: World

    @property
    def settled(self) -> int:
        """Return how many orders are final."""
        return int(self.world.value("SELECT count(*) FROM orders WHERE settled_at IS NOT NULL"))


def backlog(seconds: float, count: int) -> bool:
    """Let two services work off the same backlog side by side, one without beat; returns whether the rescuer is cheap."""
    with a_shop() as shop:
        arms = [Arm("with the rescuer", shop.world), Arm("without", _second_world(shop, shop.folder / "second"))]
        try:
            return _compare(arms, seconds, count)
        finally:
            arms[1].world.end()


def _second_world(shop: Shop, folder: Path) -> World:
    with administrate(shop.world.database_url) as cursor:
        cursor.execute("CREATE DATABASE second")
    url = shop.world.database_url.replace("///orderapp?", "///second?")
    postgres.migrate(url)
    return World(url, shop.node.create_vhost("second"), folder)


def _compare(arms: list[Arm], seconds: float, count: int) -> bool:
    for arm in arms:
        arm.world.processes.environment["WEBHOOK_URL"] = ""
        products = [arm.world.product(PLENTY) for _ in range(9)]
        arm.world.rows(_SLOW.format(seconds=SLOW))
        plant(arm.world, products, count)
    for arm in arms:
        started = arm.world.processes
        arm.world.start(relay=started.relay(), worker=started.worker(concurrency=1, queues="orders,maintenance"))
    arms[0].world.start(beat=arms[0].world.processes.beat())
    before = [arm.settled for arm in arms]
    began = told = time.monotonic()
    # An arm that has nothing left to do would look slow.
    while (now := time.monotonic()) - began < seconds and max(arm.settled for arm in arms) < count - AT_LEAST_LEFT:
        if now - told > TELL:
            told = now
            click.echo(f"{now - began:5.0f} s  " + ", ".join(f"{arm.name}: {arm.settled} settled" for arm in arms))
        time.sleep(LOOK)
    took = time.monotonic() - began
    return _judge(arms, [(arm.settled - had) / took for arm, had in zip(arms, before, strict=True)])


def _judge(arms: list[Arm], rates: list[float]) -> bool:
    cost = 1 - rates[0] / rates[1]
    rescued = arms[0].world.value("SELECT sum(rescues) FROM orders")
    twice = sum(arm.world.value(_TWICE) for arm in arms)
    violations = audit(arms[0].world, "--full")["violations"]
    click.echo(f"orders/s: {rates[0]:.2f} {arms[0].name}, {rates[1]:.2f} {arms[1].name}: it costs {cost:.2%}")
    click.echo(f"copies sent by the rescuer: {_copies(arms[0].world)}, pending for orders that still wait: {rescued}")
    click.echo(f"done twice: {twice}; violations: {len(violations)}")
    return cost < MOST and not twice and not violations


def _copies(world: World) -> int:
    """Return how many orders the rescuer has sent again, as the worker counted."""
    counts = (line.rpartition("count=")[2].split()[0] for line in world.worker.text.splitlines() if "orders rescued" in line)
    return sum(int("".join(filter(str.isdigit, count))) for count in counts)
