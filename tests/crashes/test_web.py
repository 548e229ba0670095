"""A gunicorn worker is killed after the order was stored, before its client heard of it."""

import pytest
import requests

from tests.crashes.doom import Doom
from tests.journeys.world import World

pytestmark = pytest.mark.rabbitmq


def test_an_order_whose_client_heard_nothing_is_settled_all_the_same(world: World, doom: Doom) -> None:
    """The client sees a broken connection; the order exists once, whole, and goes its way.

    Repeated under its key, the POST is answered with that order; the next one is another.
    """
    started = world.processes
    world.start(web=doom.web("orders.placing:place_order_once:after_commit"), relay=started.relay(), worker=started.worker())
    lamp = world.product(stock=10)
    with pytest.raises(requests.ConnectionError):
        world.send_once({lamp: 3}, "key")
    doom.wait()
    order_ids = [order_id for (order_id,) in world.rows("SELECT id FROM orders")]
    assert len(order_ids) == 1
    again = world.send_once({lamp: 3}, "key")
    assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (order_ids[0], "true")
    order_ids.append(world.place({lamp: 4}))
    world.wait_settled(order_ids)
    world.check()

    assert world.statuses(order_ids) == {"confirmed"}
    assert world.value("SELECT stock FROM products WHERE id = %s", lamp) == 3
