"""The rescuer itself is killed, in the middle of its transaction: what it had begun is undone, and done by the next."""

import pytest

from tests.crashes.doom import Doom
from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop without a worker."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay())


def test_a_rescue_of_orders_killed_halfway_is_done_by_the_next(shop: World, doom: Doom) -> None:
    """It postpones and sends in one transaction: an order is never postponed without a message."""
    with shop.held_up(shop.relay):
        order_id = shop.place({shop.product(): 1})
        shop.rows("DELETE FROM outbox WHERE subject_id = %s", order_id)
    doom.worker("orders.rescuing:rescue_orders:before_commit", queues="maintenance").wait_ready()
    with shop.held_up(shop.relay):
        shop.rescue()
        doom.wait()
        # The same message comes again to the pool's next process.
        wait_until(lambda: "orders rescued" in doom.started[0].text, 20, "the next rescue")
        rescued = shop.rows("SELECT rescues FROM orders WHERE id = %s", order_id)
        assert rescued == [(1,)], "the killed rescue counted"
        assert shop.value("SELECT count(*) FROM outbox WHERE subject_id = %s", order_id) == 1
    doom.worker(queues="orders,webhooks")
    shop.wait_settled([order_id])
    shop.check()

    assert shop.attempts([order_id]) == {1}


def test_a_rescue_of_webhooks_killed_halfway_is_done_by_the_next(shop: World, doom: Doom) -> None:
    """The same for deliveries."""
    worker = doom.worker("webhooks.rescuing:rescue_deliveries:before_commit", queues="orders,maintenance")
    order_id = shop.place({shop.product(): 1})
    shop.wait_settled([order_id])
    worker.wait_ready()
    wait_until(lambda: shop.messages.waiting("webhooks"), 20, "the delivery's message")
    shop.messages.purge("webhooks")
    shop.rescue()
    doom.wait()
    wait_until(lambda: shop.messages.waiting("webhooks"), 20, "the next rescue's message")
    assert shop.rows("SELECT rescues FROM webhook_deliveries WHERE order_id = %s", order_id) == [(1,)]
    doom.worker(queues="webhooks")
    shop.check()

    assert len(shop.webhooks(order_id)) == 1
