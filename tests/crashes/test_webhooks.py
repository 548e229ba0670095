"""The process that sends a webhook is killed around its POST; the receiver can tell a repetition by its id."""

import pytest

from tests.crashes.doom import Doom
from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq

# How often the receiver hears of the event.
POSTS = {"webhooks.sending:send:before_post": 1, "webhooks.sending:send:posted": 2}


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop that settles orders and sends no webhooks."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay(), worker=started.worker(queues="orders,maintenance"))


@pytest.mark.parametrize("point", POSTS)
def test_a_delivery_whose_sender_was_killed_is_sent_again_under_its_id(shop: World, doom: Doom, point: str) -> None:
    """The next attempt comes when the lease of the dead one has ended (45 seconds, passed by SQL)."""
    order_id = shop.place({shop.product(): 1})
    shop.wait_settled([order_id])
    doom.worker(point, queues="webhooks")
    doom.wait()
    unsent = "SELECT state, attempt FROM webhook_deliveries WHERE order_id = %s"
    assert shop.rows(unsent, order_id) == [("pending", 1)]
    assert shop.order(order_id)["webhook_sent"] is False
    wait_until(lambda: not shop.messages.waiting("webhooks"), 20, "the redelivered message")

    shop.rescue()
    shop.check()
    assert shop.rows(unsent, order_id) == [("succeeded", 2)]
    assert shop.order(order_id)["webhook_sent"] is True
    webhooks = shop.webhooks(order_id)
    assert len(webhooks) == POSTS[point]
    assert len({(webhook.id, webhook.body) for webhook in webhooks}) == 1
