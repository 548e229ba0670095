"""Messages that are lost with their queues, or were never written: beat's rescuers bring orders and webhooks back."""

import pytest

from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop with beat, and a worker of its own for webhooks, as operations.md advises."""
    started = world.processes
    return world.start(
        web=started.web(),
        relay=started.relay(),
        worker=started.worker(queues="orders,maintenance"),
        worker2=started.worker(queues="webhooks"),
        beat=started.beat(),
    )


def test_beat_rescues_an_order_whose_message_is_gone(shop: World) -> None:
    """The outbox row is deleted by hand, so that only the rescuer can know of the order; nobody but beat wakes it."""
    with shop.held_up(shop.relay):
        order_id = shop.place({shop.product(): 1})
        shop.rows("DELETE FROM outbox WHERE subject_id = %s", order_id)
    shop.rows("UPDATE orders SET rescue_at = now() WHERE id = %s", order_id)
    shop.wait_settled([order_id])
    shop.check()

    assert "orders rescued" in shop.worker.text
    assert shop.attempts([order_id]) == {1}


def test_beat_rescues_a_webhook_whose_message_is_gone(shop: World) -> None:
    """The same for a delivery."""
    with shop.held_up(shop.worker2):
        order_id = shop.place({shop.product(): 1})
        shop.wait_settled([order_id])
        wait_until(lambda: shop.messages.waiting("webhooks") or shop.outbox_is_empty(), 30, "the delivery's message")
        shop.messages.purge("webhooks")
    shop.rows("UPDATE webhook_deliveries SET rescue_at = now() WHERE order_id = %s AND state = 'pending'", order_id)
    shop.check()

    assert shop.order(order_id)["webhook_sent"] is True


def test_orders_and_webhooks_in_deleted_queues_settle_and_are_sent_once(shop: World) -> None:
    """All three queues are deleted under living workers while orders and webhooks wait in them."""
    lamp = shop.product()
    told = len(shop.receiver.requests)
    with shop.held_up(shop.worker2):
        settled = shop.place_many([{lamp: 1}] * 40)
        shop.wait_settled(settled)
        with shop.held_up(shop.worker):
            waiting = shop.place_many([{lamp: 1}] * 40)
            wait_until(shop.outbox_is_empty, 30, "the relay")
            lost = shop.messages.delete("orders", "webhooks", "maintenance")
    assert lost >= 2  # of 40 webhooks a few are prefetched already, the others are several to a message; so are orders
    assert shop.open_orders() > 0
    shop.hurry()
    shop.wait_settled(waiting)
    shop.hurry()
    shop.check()

    assert shop.statuses(settled + waiting) == {"confirmed"}
    ids = [request.id for request in shop.receiver.requests[told:]]
    assert len(ids) == len(set(ids)) == 80
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - 80


def test_messages_for_a_deleted_queue_are_published_again(shop: World) -> None:
    """With nobody there to declare them, the relay finds its messages returned, declares the queues and parks nothing."""
    shop.wait_settled([shop.place({shop.product(): 1})])  # a relay declares them anyway when it connects, at its first message
    with shop.held_up(shop.worker, shop.worker2):
        shop.messages.delete("orders", "webhooks", "maintenance")
        order_id = shop.place({shop.product(): 1})
        shop.relay.wait_for_line("queue missing, declared again")
    shop.wait_settled([order_id])
    shop.check()

    assert shop.attempts([order_id]) == {1}
