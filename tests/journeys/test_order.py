"""The main job: an order is placed, settled and told, on the product's own processes."""

import pytest

from tests.journeys.watching import watching
from tests.journeys.world import World

pytestmark = pytest.mark.rabbitmq


def test_an_order_is_confirmed_and_its_webhook_says_what_get_shows(shop: World) -> None:
    """The example of the README: 2 laptops and a mouse, to the signed webhook, seen by Celery's events on the way."""
    with watching(shop.messages.url) as flower:
        order_id = shop.place({1: 2, 2: 1})
        shop.wait_settled([order_id])
        flower.wait_for("task-succeeded", "webhooks.deliver", 1)
    shop.check()

    order = shop.order(order_id)
    assert (order["status"], order["total_amount"], order["webhook_sent"]) == ("confirmed", "110500.00", True)
    (webhook,) = shop.webhooks(order_id)
    said = webhook.verify()
    assert (said["type"], said["sequence"], said["id"]) == ("order.confirmed", 2, webhook.id)
    # At the moment of the event nobody had been told yet.
    assert said["data"] == order | {"webhook_sent": False}
    assert webhook.headers["user-agent"].startswith("orderapp/")
    (task_id,) = shop.rows("SELECT task_id::text FROM orders WHERE id = %s", order_id)[0]
    seen = {event["type"] for event in flower.events if event.get("uuid") == task_id}
    assert {"task-received", "task-started", "task-succeeded"} <= seen
    assert shop.rows("SELECT id, stock FROM products WHERE id IN (1, 2) ORDER BY id") == [(1, 8), (2, 49)]


def test_an_order_that_falls_short_fails_whole_and_is_told_too(shop: World) -> None:
    """A can be had, B and C cannot: nothing is taken, every shortage is named at once, in GET and in the webhook."""
    a, b, c = shop.product(stock=5), shop.product(stock=1), shop.product(stock=0)
    order_id = shop.place({a: 1, b: 2, c: 3})
    shop.wait_settled([order_id])
    shop.check()

    order = shop.order(order_id)
    shortages = [
        {"product_id": b, "requested": 2, "available": 1},
        {"product_id": c, "requested": 3, "available": 0},
    ]
    assert order["status"] == "failed"
    assert order["failure_reason"] == {"code": "insufficient_stock", "shortages": shortages}
    assert order["total_amount"] is None
    (webhook,) = shop.webhooks(order_id)
    assert webhook.verify()["type"] == "order.failed"
    assert webhook.verify()["data"] == order | {"webhook_sent": False}
    assert shop.value("SELECT stock FROM products WHERE id = %s", a) == 5


def test_two_lines_of_one_product_are_one_deduction(shop: World) -> None:
    """The client's two lines become one line, one movement, one price."""
    lamp = shop.product(stock=10, price="2.50")
    answer = shop.send_items([{"product_id": lamp, "quantity": 2}, {"product_id": lamp, "quantity": 3}])
    order_id = answer.json()["id"]
    shop.wait_settled([order_id])
    shop.check()

    (item,) = shop.order(order_id)["items"]
    assert (item["quantity"], shop.order(order_id)["total_amount"]) == (5, "12.50")
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 5


def test_the_price_quoted_at_the_post_stands(shop: World) -> None:
    """A price that rises before the worker comes does not change what the client agreed to."""
    lamp = shop.product(stock=10, price="2.50")
    with shop.held_up(shop.worker, shop.worker2):
        order_id = shop.place({lamp: 2})
        shop.rows("UPDATE products SET price = 99 WHERE id = %s", lamp)
    shop.wait_settled([order_id])
    shop.check()

    assert shop.order(order_id)["total_amount"] == "5.00"


def test_a_receiver_that_was_away_is_told_later_under_the_same_id(shop: World) -> None:
    """Attempts are retried from PostgreSQL's timers; the receiver recognises the repetition by its id."""
    shop.receiver.status = 503
    order_id = shop.place({shop.product(): 1})
    shop.wait_settled([order_id])
    shop.wait_webhooks(order_id, 1)
    assert shop.order(order_id)["webhook_sent"] is False

    shop.receiver.status = 200
    shop.check()
    first, *others = shop.webhooks(order_id)
    assert {webhook.id for webhook in others} == {first.id}
    assert shop.order(order_id)["webhook_sent"] is True
