"""The relay is killed inside a window: its rows are still there, and the next relay publishes them."""

import re
import signal

import pytest

from tests.crashes.doom import Doom
from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq

# How many copies of each message reach the broker: the dead relay's and its successor's.
COPIES = {"outbox.relaying:publish:claimed": 1, "outbox.relaying:publish:sent": 2, "outbox.relaying:publish:confirmed": 2}

ORDERS = 20


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop without a relay."""
    started = world.processes
    return world.start(web=started.web(), worker=started.worker(queues="orders"), worker2=started.worker(queues="webhooks"))


def _received(shop: World) -> int:
    return sum(int(count) for count in re.findall(r"orders processed .*received=(\d+)", shop.worker.text))


@pytest.mark.parametrize("point", COPIES)
def test_a_killed_relay_loses_nothing_and_a_second_copy_does_nothing(shop: World, doom: Doom, point: str) -> None:
    """Its window held all orders in one message: the worker sees them once or twice, their stock is taken once."""
    lamp, before = shop.product(), _received(shop)
    order_ids = shop.place_many([{lamp: 1}] * ORDERS)
    relay = doom.relay(point)
    doom.wait()
    wait_until(lambda: relay.exit_code == -signal.SIGKILL, 10, "the relay's end")
    rows = shop.value("SELECT count(*) FROM outbox WHERE task = 'orders.process'")
    assert rows == ORDERS, "the rows of an unfinished window must be left"

    doom.started.append(shop.processes.relay())
    shop.wait_settled(order_ids)
    shop.check()
    wait_until(lambda: _received(shop) - before >= COPIES[point] * ORDERS, 10, "the copies")
    assert _received(shop) - before == COPIES[point] * ORDERS
    assert shop.attempts(order_ids) == {1}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - ORDERS
