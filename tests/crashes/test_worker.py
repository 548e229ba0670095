"""The process that works on orders is killed at each point of its way; another run takes over, effects happen once."""

import logging
import time

import pytest

from tests.crashes.doom import Doom
from tests.journeys.world import World
from tests.servers.waiting import wait_until

log = logging.getLogger(__name__)

pytestmark = pytest.mark.rabbitmq

ORDERS = 10


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop without a worker."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay())


def _place_together(shop: World, lamp: int) -> list[int]:
    """Place orders that travel in one message."""
    with shop.held_up(shop.relay):
        return shop.place_many([{lamp: 1}] * ORDERS)


@pytest.mark.parametrize("point", ["orders.processing:process_together:after_commit", "orders.processing:settle:before_commit"])
def test_orders_of_a_killed_run_are_claimed_again_when_their_lease_has_ended(shop: World, doom: Doom, point: str) -> None:
    """The dead run left nothing but its claims. The redelivered message finds them and returns; the rescuer settles.

    The lease's 15 seconds are passed by SQL.
    """
    lamp = shop.product()
    order_ids = _place_together(shop, lamp)
    doom.worker(point)
    doom.wait()
    wait_until(lambda: "orders processed" in doom.started[0].text, 20, "the redelivered message")
    assert shop.statuses(order_ids) == {"processing"}
    assert shop.attempts(order_ids) == {1}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000
    assert (
        shop.value("SELECT count(*) FROM webhook_deliveries JOIN orders o ON o.id = order_id AND o.id = ANY(%s)", order_ids)
        == 0
    )

    shop.rescue()
    shop.wait_settled(order_ids)
    shop.check()
    assert shop.statuses(order_ids) == {"confirmed"}
    assert shop.attempts(order_ids) == {2}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - ORDERS


def test_a_run_killed_between_settling_and_its_ack_has_settled(shop: World, doom: Doom) -> None:
    """The message comes again and finds final orders: nobody has to rescue anything."""
    lamp = shop.product()
    order_ids = _place_together(shop, lamp)
    doom.worker("orders.process:returned")
    doom.wait()
    shop.wait_settled(order_ids)
    doom.started[0].wait_for_line(f"received={ORDERS} settled=0", 20)
    shop.check()

    assert shop.attempts(order_ids) == {1}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - ORDERS


def test_a_killed_worker_gives_back_what_it_had_fetched(shop: World) -> None:
    """Kill -9 of the worker's first process, with messages fetched and in work; its pool does not outlive it for long."""
    lamp = shop.product()
    doomed = shop.processes.worker().wait_ready()
    order_ids = shop.place_many([{lamp: 1}] * 200)
    wait_until(lambda: shop.open_orders() < 200, 20, "the worker to be at it")
    doomed.kill(pid=doomed.pid)
    began = time.monotonic()
    wait_until(lambda: not doomed.children, 20, "the end of the orphaned pool")
    log.info("the pool outlived its killed parent for %.1f s", time.monotonic() - began)

    successor = shop.processes.worker()
    wait_until(shop.outbox_is_empty, 20, "the relay")
    shop.start(worker=successor)
    wait_until(lambda: shop.statuses(order_ids) <= {"confirmed", "processing"}, 20, "all messages")
    shop.rescue()
    shop.wait_settled(order_ids)
    shop.check()
    assert shop.attempts(order_ids) <= {1, 2}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - 200
    successor.kill()


@pytest.mark.proof
def test_orders_of_a_killed_worker_with_a_full_prefetch_are_final_within_30_seconds(shop: World, doom: Doom) -> None:
    """Nothing is shortened: real leases of 15 seconds, beat's real rescues, and other workers that were there all along."""
    lamp = shop.product()
    doomed = doom.worker("orders.processing:process_together:after_commit", "hang", always=True, queues="orders")
    started = shop.processes
    doom.started += [started.worker(queues="orders,maintenance"), started.worker(queues="webhooks"), started.beat()]
    for each in doom.started:
        each.wait_ready()
    with shop.held_up(shop.relay):
        order_ids = shop.place_many([{lamp: 1}] * 400, clients=8)
    doom.wait()  # it has claimed a batch and holds it
    mine = shop.rows("SELECT id FROM orders WHERE status = 'processing' AND id = ANY(%s)", order_ids)
    doomed.kill()
    killed = time.monotonic()
    shop.wait_settled(order_ids, seconds=30)
    log.info("%s claimed orders of a killed worker were final after %.1f s", len(mine), time.monotonic() - killed)
    shop.check()
    assert len(mine) >= 100, "the worker was killed before it held anything"
    assert shop.statuses(order_ids) == {"confirmed"}
    assert shop.attempts(order_ids) == {1, 2}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - 400
