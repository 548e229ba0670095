"""Two relays and two workers at once on the same few products: exactly once in effect, no deadlock."""

import random

import pytest

from tests.journeys.world import World

pytestmark = pytest.mark.rabbitmq


def test_300_orders_on_hot_products_are_settled_exactly_once(shop: World) -> None:
    """Orders whose products cross in every order, more demand than stock: what is sold is what was there, to the unit."""
    chance = random.Random(300)  # the same orders in every run
    hot = [shop.product() for _ in range(3)]
    scarce = shop.product(stock=100)
    orders = []
    for _ in range(300):
        products = chance.sample([*hot, scarce], 3)
        orders.append({product: chance.randint(1, 3) for product in products})

    order_ids = shop.place_many(orders, clients=6)
    shop.wait_settled(order_ids)
    shop.check()

    assert len(set(order_ids)) == 300
    assert shop.statuses(order_ids) == {"confirmed", "failed"}
    assert shop.attempts(order_ids) == {1}
    # Every order wants at most 3: one that failed found less than that.
    assert shop.value("SELECT stock FROM products WHERE id = %s", scarce) < 3
    reasons = shop.rows("SELECT DISTINCT failure_reason->>'code' FROM orders WHERE id = ANY(%s)", order_ids)
    assert set(reasons) == {(None,), ("insufficient_stock",)}
    told = [request.id for request in shop.receiver.requests if request.json()["data"]["id"] in set(order_ids)]
    assert len(told) == len(set(told)) == 300


def test_both_relays_and_both_workers_have_a_share(shop: World) -> None:
    """Nothing is led by one process while the other only watches; each worker settles something of a long burst."""
    lamp = shop.product()
    order_ids = shop.place_many([{lamp: 1}] * 100)
    shop.wait_settled(order_ids)
    shop.check()

    for worker in (shop.worker, shop.worker2):
        assert "settled=1" in worker.text
