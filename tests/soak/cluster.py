"""A cluster of three RabbitMQ nodes loses the one that leads the queues, while orders go through it."""

import click

from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import wait_until
from tests.soak.account import Account
from tests.soak.load import PLENTY, SHORT, Load
from tests.soak.outages import judge
from tests.soak.planting import plant
from tests.soak.shop import Shop, a_shop

NODES = 3

# Seconds in which a queue gets a new leader; RabbitMQ needs a few until it believes that the old one is gone.
ELECTION = 60

# The orders come in portions, one a second: all at once, a worker would be done with them before the node is dead.
PORTION = 100


def cluster(count: int, rate: float, seed: int) -> Account:
    """Kill the leader's node at half of the orders and start it again at four fifths; relay and workers know all three."""
    with a_shop(NODES) as shop:
        shop.open()
        products = [shop.world.product(stock) for stock in (*[PLENTY] * 9, SHORT, SHORT)]
        portions = max(2, count // PORTION)
        load, killed = Load(shop.url, products, rate, seed), shop.node
        with load:
            for number in range(portions):
                planted = plant(shop.world, products[:9], PORTION, f"planted-{number}")
                load.answers.accepted.update(planted.accepted)
                shop.tend_for(1)
                if number == portions // 2:
                    killed = _kill_leader(shop)
                if number == portions * 4 // 5:
                    killed.start()
                    click.echo(f"{killed.name} is back")
        return judge(shop, load.answers)


def _kill_leader(shop: Shop) -> RabbitNode:
    members = {node.name: node for node in shop.nodes}
    leader = members[_leader(shop.node)]
    others = [node for node in shop.nodes if node is not leader]
    leader.kill()
    click.echo(f"{leader.name} led the queue of orders and was killed; {shop.unrest().get('orders', 0)} orders are open")
    new = wait_until(lambda: _leader(others[0]) not in {"", leader.name} and _leader(others[0]), ELECTION, "a new leader")
    click.echo(f"{new} leads it now")
    return leader


def _leader(asked: RabbitNode) -> str:
    lines = asked.ctl("list_queues", "--no-table-headers", "name", "leader").splitlines()
    return dict(line.split("\t") for line in lines if line.count("\t") == 1).get("orders", "")
