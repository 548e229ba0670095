"""Four worker processes on the same products at once, with POSTs in between: no deadlock, the stock exact to the unit."""

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import requests

from tests.journeys.world import World
from tests.servers.waiting import wait_until

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# What was there when each product was made.
OPENING = 1_000_000

_SOLD = """
SELECT coalesce(sum(quantity), 0) FROM order_items JOIN orders ON orders.id = order_id
WHERE product_id = %s AND status = 'confirmed'
"""


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop whose one worker has four processes."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay(), worker=started.worker(concurrency=4))


def _send_in_small_messages(shop: World, order_ids: Sequence[int], chance: random.Random) -> None:
    """Send each order in a message of its own and in one of ten, in any order: the relay alone would make two messages."""
    alone = [[order_id] for order_id in order_ids]
    tens = [chance.sample(list(order_ids), 10) for _ in range(len(order_ids) // 10)]
    for ids in chance.sample(alone + tens, len(alone) + len(tens)):
        shop.messages.send("orders.process", ids)


@contextmanager
def _stream_of_posts(shop: World, products: Sequence[int], chance: random.Random) -> Iterator[list[int]]:
    """POST orders of these products, one after the other from two clients, while the block runs; gives their ids."""
    placed: list[int] = []
    over = threading.Event()
    orders = [dict.fromkeys(chance.sample(products, 3), 1) for _ in range(500)]

    def client(share: int) -> None:
        with requests.Session() as session:
            for lines in orders[share::2]:
                if over.is_set():
                    return
                placed.append(shop.place(lines, session))

    clients = [threading.Thread(target=client, args=[share]) for share in range(2)]
    for each in clients:
        each.start()
    try:
        yield placed
    finally:
        over.set()
        for each in clients:
            each.join()


def test_200_crossing_orders_and_a_stream_of_posts_meet_no_deadlock(shop: World) -> None:
    """Every order wants four of six products, named in any order; every product is wanted by all processes at once."""
    chance = random.Random(200)  # the same orders in every run
    hot = [shop.product(stock=OPENING) for _ in range(6)]
    wanted = [{product: chance.randint(1, 5) for product in chance.sample(hot, 4)} for _ in range(200)]
    with shop.held_up(shop.worker, shop.relay):
        order_ids = shop.place_many(wanted, clients=8)
        _send_in_small_messages(shop, order_ids, chance)
    with _stream_of_posts(shop, hot, chance) as streamed:
        shop.wait_settled(order_ids)
        wait_until(lambda: len(streamed) >= 100, 60, "a hundred POSTs meanwhile")
    shop.wait_settled(streamed)
    shop.check()

    deadlocks = shop.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    left = [shop.value("SELECT stock FROM products WHERE id = %s", product) for product in hot]
    log.info("200 crossing orders, %s POSTs meanwhile: %s deadlocks", len(streamed), deadlocks)
    assert deadlocks == 0
    assert shop.statuses([*order_ids, *streamed]) == {"confirmed"}
    assert shop.attempts([*order_ids, *streamed]) == {1}
    assert left == [OPENING - shop.value(_SOLD, product) for product in hot]
    assert sum(OPENING - each for each in left) == sum(sum(lines.values()) for lines in wanted) + 3 * len(streamed)


def test_of_200_buyers_of_10_units_exactly_10_get_one(shop: World) -> None:
    """Each in a message of its own, four at a time."""
    last = shop.product(stock=10)
    with shop.held_up(shop.worker, shop.relay):
        order_ids = shop.place_many([{last: 1}] * 200, clients=8)
        _send_in_small_messages(shop, order_ids, random.Random(10))
    shop.wait_settled(order_ids)
    shop.check()

    counted = "SELECT status, failure_reason->>'code', count(*) FROM orders WHERE id = ANY(%s) GROUP BY 1, 2 ORDER BY 1"
    assert shop.rows(counted, order_ids) == [("confirmed", None, 10), ("failed", "insufficient_stock", 190)]
    assert shop.value("SELECT stock FROM products WHERE id = %s", last) == 0
    sales = shop.rows("SELECT delta, count(*) FROM stock_movements WHERE product_id = %s AND kind = 'sale' GROUP BY 1", last)
    assert sales == [(-1, 10)]
