"""Another service hears of every order by EVENTS_EXCHANGE, also of those that were placed while the broker was away."""

from typing import Any

import orjson
import pytest

from tests.journeys.world import World
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# The tests kill it.
OWN_NODE = True

ON = {"EVENTS_EXCHANGE": "shop.events"}


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop that tells other services."""
    started = world.processes
    return world.start(web=started.web(**ON), relay=started.relay(**ON), worker=started.worker(**ON))


def listen(shop: World) -> None:
    """Bind a durable queue as docs/operations.md tells other services to."""
    with shop.messages._channel() as channel:
        channel.exchange_declare(ON["EVENTS_EXCHANGE"], "topic", durable=True, auto_delete=False)
        channel.queue_declare("theirs", durable=True, auto_delete=False)
        channel.queue_bind("theirs", ON["EVENTS_EXCHANGE"], "order.#")


def heard(shop: World) -> dict[str, dict[str, Any]]:
    """Return the events that a consumer keeps: each once, by its id."""
    said = [orjson.loads(message.body) for message in shop.messages.take("theirs")]
    return {event["id"]: event for event in said}


def test_events_arrive_although_the_broker_was_away(shop: World, node: RabbitNode) -> None:
    """Nothing is lost; a consumer that knows each id once and orders by sequence sees every order's life."""
    shop.place({shop.product(): 1})  # before anybody listens: let go, and nobody misses it
    wait_until(shop.outbox_is_empty, 60, "the first order's messages")
    listen(shop)
    lamp = shop.product()
    ids = [shop.place({lamp: 1}) for _ in range(5)]
    shop.wait_settled(ids)
    # A node that is killed within seconds of a binding may have it only in memory; what the exchange then lets go is no loss
    # of ours.
    node.ctl("eval", "mnesia:sync_log().")
    node.kill()
    try:
        ids += [shop.place({lamp: 1}) for _ in range(20)]
    finally:
        node.start()
    shop.wait_settled(ids)
    wait_until(shop.outbox_is_empty, 60, "the events to leave")
    shop.check()

    events = heard(shop)
    of_each = {order_id: [event for event in events.values() if event["data"]["id"] == order_id] for order_id in ids}
    for order_id, mine in of_each.items():
        types = [event["type"] for event in sorted(mine, key=lambda event: event["sequence"])]
        assert types == ["order.placed", "order.confirmed"], order_id
    assert not shop.rows("SELECT id FROM outbox WHERE parked_at IS NOT NULL")
