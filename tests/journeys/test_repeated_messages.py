"""Any message may come again, at once to several workers, late, or under another id: effects happen once."""

from uuid import uuid4

import pytest

from orderapp.queues import DEAD_QUEUE
from tests.journeys.watching import watching
from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq

# How often each message is repeated under one id, and under as many ids.
TIMES = 5


def _send_again_and_again(shop: World, task: str, subject: int) -> None:
    """Let the repetitions pile up in the queue, then let both workers fall upon them."""
    with shop.held_up(shop.worker, shop.worker2):
        one = str(uuid4())
        for _ in range(TIMES):
            shop.messages.send(task, [subject], task_id=one)
            shop.messages.send(task, [subject])


def test_ten_copies_of_a_message_settle_an_order_once_and_send_one_webhook(shop: World) -> None:
    """Five under one id and five ids, before the order is settled and after, for the order and for its webhook."""
    lamp = shop.product(stock=100)
    told = len(shop.receiver.requests)
    with watching(shop.messages.url) as flower:
        with shop.held_up(shop.relay, shop.relay2):  # so that only our copies can do it
            order_id = shop.place({lamp: 3})
            _send_again_and_again(shop, "orders.process", order_id)
            shop.wait_settled([order_id])
            delivery = shop.value("SELECT id FROM webhook_deliveries WHERE order_id = %s", order_id)
            assert len(shop.receiver.requests) == told
            _send_again_and_again(shop, "webhooks.deliver", delivery)
            shop.wait_webhooks(order_id, 1)
        _send_again_and_again(shop, "orders.process", order_id)
        _send_again_and_again(shop, "webhooks.deliver", delivery)
        # 20 copies of ours and the one from the outbox.
        for task in ("orders.process", "webhooks.deliver"):
            flower.wait_for("task-succeeded", task, 4 * TIMES + 1)
    shop.check()

    assert shop.rows("SELECT delta FROM stock_movements WHERE order_id = %s", order_id) == [(-3,)]
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 97
    events = shop.rows("SELECT sequence, type FROM order_events WHERE order_id = %s ORDER BY sequence", order_id)
    assert events == [(1, "order.placed"), (2, "order.confirmed")]
    assert shop.attempts([order_id]) == {1}
    assert shop.value("SELECT attempt FROM webhook_deliveries WHERE id = %s", delivery) == 1
    assert len(shop.webhooks(order_id)) == 1
    both = {event["hostname"] for event in flower.events if event["type"] == "task-received"}
    assert len(both) == 2, "both workers should have had a share"


def test_one_message_with_an_order_many_times_settles_it_once(shop: World) -> None:
    """An id that is repeated inside a message, beside others, is one order."""
    lamp = shop.product(stock=100)
    with shop.held_up(shop.relay, shop.relay2):
        first, second = shop.place({lamp: 1}), shop.place({lamp: 2})
        shop.messages.send("orders.process", [second, first, second, first, first])
        shop.wait_settled([first, second])
    shop.check()

    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 97


def test_a_message_about_an_order_that_does_not_exist_does_nothing(shop: World) -> None:
    """The database may be older than the broker after a restore: an unknown id is no fault of the message."""
    before = shop.snapshot()
    with watching(shop.messages.url) as flower:
        shop.messages.send("orders.process", [999_999_999])
        shop.messages.send("webhooks.deliver", [999_999_999])
        flower.wait_for("task-succeeded", "orders.process", 1)
        flower.wait_for("task-succeeded", "webhooks.deliver", 1)

    assert shop.snapshot() == before


def test_a_tick_that_comes_too_late_is_let_go(shop: World) -> None:
    """After an outage dozens of them wait: each would only do what the next tick does, and none is a dead letter."""
    with watching(shop.messages.url) as flower:
        late = shop.messages.send("orders.rescue", headers={"expires": "2026-01-01T00:00:00+00:00"})
        dropped = ("task-revoked", late)
        wait_until(lambda: dropped in {(one["type"], one.get("uuid")) for one in flower.events[:]}, 30, "the end of the tick")
    wait_until(lambda: not shop.messages.waiting("maintenance"), 15, "an empty queue")
    assert not shop.messages.waiting(DEAD_QUEUE)
