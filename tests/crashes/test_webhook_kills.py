"""Whoever sends webhooks is killed fifty times, and every message comes twice: nothing is lost, nothing is doubled."""

import random
from contextlib import suppress

import pytest

from tests.journeys.world import World
from tests.servers.processes import Process
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

KILLS = 50

TWICE = """
INSERT INTO outbox (queue, task, subject_id)
SELECT 'webhooks', 'webhooks.deliver', id FROM webhook_deliveries WHERE state = 'pending'
"""

PENDING = "SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"

UNTRUE = """
SELECT id FROM orders WHERE webhook_sent AND NOT EXISTS (
    SELECT 1 FROM webhook_deliveries d JOIN webhook_attempts a ON a.delivery_id = d.id
    WHERE d.order_id = orders.id AND a.status_code BETWEEN 200 AND 299)
"""


def kill_senders(worker: Process) -> None:
    """Kill the worker's pool processes, in which the threads are; its first process starts new ones."""
    for child in worker.children:
        with suppress(ProcessLookupError):
            worker.kill(pid=child)


def test_fifty_kills_and_every_message_twice(world: World) -> None:
    """Every event arrives under its one id; in the end every order is told, and none said so before a 2xx."""
    started, dice = world.processes, random.Random(6)
    shop = world.start(web=started.web(), relay=started.relay(), worker=started.worker(queues="orders,maintenance"))
    sender = started.worker(queues="webhooks")
    sender.wait_ready()
    shop.receiver.delay = 0.03
    product = shop.product()
    placed: list[int] = []
    for _ in range(KILLS):
        heard = len(shop.receiver.requests)  # before the orders: a quick sender has told all four when they are seen settled
        placed += (orders := shop.place_many([{product: 1}] * 4))
        shop.wait_settled(orders)
        shop.rows(TWICE)
        few = dice.randrange(3)
        wait_until(lambda: len(shop.receiver.requests) >= heard + few, 30, f"{few} webhooks")  # noqa: B023 - called at once
        kill_senders(sender)
        assert shop.rows(UNTRUE) == []
        shop.rescue()
        # Each kill uses up an attempt of what was claimed; in the real world 45 s lie between two of them, not one.
        wait_until(lambda: not shop.value(PENDING), 60, "the webhooks of this round")
    # A sender that dies while it writes leaves half a request, which any server throws away; this one keeps everything.
    heard_whole = [each for each in shop.receiver.requests if len(each.body) == int(each.headers["content-length"])]
    shop.receiver.requests[:] = heard_whole
    shop.check(seconds=120)
    assert shop.value("SELECT count(*) FROM orders WHERE NOT webhook_sent") == 0
    assert len({webhook.id for webhook in shop.receiver.requests}) == len(placed) == 4 * KILLS
    assert shop.value("SELECT count(*) FROM webhook_attempts WHERE status_code = 200") == len(placed)
