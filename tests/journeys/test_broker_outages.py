"""RabbitMQ killed, silent or blocked: orders are taken as fast as ever, wait in PostgreSQL, and none is counted against."""

import logging
import statistics
import time
from collections.abc import Callable

import pytest
import requests

from tests.journeys.world import World
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import wait_until

log = logging.getLogger(__name__)

pytestmark = pytest.mark.rabbitmq

# The tests kill it.
OWN_NODE = True

# Times the median with the broker up, plus milliseconds: relay and workers share the two cores with the measurement.
SLOWER, ALLOWANCE = 2, 15

# The relay's words at the first failure of an outage.
UNREACHABLE = "broker unreachable, messages wait in the outbox"


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop on the node that may be killed."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay(), worker=started.worker())


def _place_measured(shop: World, count: int) -> tuple[list[int], list[float]]:
    """POST orders one after the other; returns the ids and the milliseconds of each. All are taken."""
    lamp, ids, times = shop.product(), [], []
    with requests.Session() as session:
        for _ in range(count):
            began = time.perf_counter()
            ids.append(shop.place({lamp: 1}, session))
            times.append((time.perf_counter() - began) * 1000)
    return ids, times


def _sleep_through(shop: World, count: int, fall: Callable[[], None], rise: Callable[[], None]) -> None:
    """Place orders with the broker up and down; the two medians are alike and everything settles after its return."""
    well, normal = _place_measured(shop, count)
    shop.wait_settled(well)
    noticed = shop.relay.text.count(UNREACHABLE)
    fall()
    try:
        well.append(shop.place({shop.product(): 1}))  # so that the relay tries
        wait_until(lambda: shop.relay.text.count(UNREACHABLE) > noticed, 15, f"{UNREACHABLE!r} from the relay")
        ids, times = _place_measured(shop, count)
        slept = shop.statuses(ids)
    finally:
        rise()
    shop.wait_settled(well + ids)
    shop.check()

    up, down = statistics.median(normal), statistics.median(times)
    log.info("median of %s POSTs: broker up %.1f ms, away %.1f ms, slowest %.0f ms", count, up, down, max(times))
    assert down <= SLOWER * up + ALLOWANCE
    assert slept == {"pending"}, "the broker was away, nobody can have settled them"
    assert shop.statuses(well + ids) == {"confirmed"}
    assert shop.attempts(well + ids) == {1}
    assert shop.rows("SELECT id FROM outbox WHERE parked_at IS NOT NULL") == []


def test_200_orders_are_taken_while_the_broker_is_dead(shop: World, node: RabbitNode) -> None:
    """The node is killed like in a power cut; after its return all settle at their first attempt."""
    _sleep_through(shop, 200, node.kill, node.start)


@pytest.mark.proof
def test_orders_are_taken_while_the_broker_swallows_everything(shop: World, node: RabbitNode) -> None:
    """Connections stay open and nobody answers: no request may wait for it."""
    _sleep_through(shop, 100, node.pause, node.resume)


@pytest.mark.proof
def test_orders_are_taken_while_the_broker_blocks_publishers(shop: World, node: RabbitNode) -> None:
    """A broker out of memory accepts connections and stops reading from publishers."""
    _sleep_through(
        shop,
        100,
        lambda: node.ctl("set_vm_memory_high_watermark", "absolute", "1"),
        lambda: node.ctl("set_vm_memory_high_watermark", "0.4"),
    )
