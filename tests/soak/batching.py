"""Why the relay pipelines its confirms and workers settle in batches: each beside doing it one at a time, in the same run."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any
from uuid import uuid4

import amqp
import click
from kombu import Connection

from orderapp import create_app
from orderapp.orders.processing import process_orders
from orderapp.outbox.broker import MOST_IN_FLIGHT, AmqpPublisher
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.receipts import Message, Receipt
from orderapp.outbox.relaying import Relay
from tests.soak.load import PLENTY
from tests.soak.planting import plant
from tests.soak.shop import Shop, a_shop

# What a batch must win over one at a time.
AT_LEAST = 8

# Rounds, of which the median counts: other work on the machine then decides nothing.
ROUNDS = 3

# Rows and orders of one round; one at a time is slow, so it gets fewer.
ROWS, ROWS_ALONE = 10_000, 1000
ORDERS, ORDERS_ALONE, BATCH = 2000, 300, 100

# Of a task that names no subjects: one message per row for both relays, so that only the wait for confirms differs.
_ROWS = "INSERT INTO outbox (queue, task) SELECT 'maintenance', 'orders.rescue' FROM generate_series(1, %s)"


class Waiting:
    """A publisher that waits for each confirm before the next message, as py-amqp does by itself."""

    def __init__(self, url: str) -> None:
        self._connection = Connection(url, transport_options={"confirm_publish": True})
        self._channel = self._connection.default_channel

    def open(self) -> None:
        """Do nothing: it is connected."""

    def room(self, _queue: str) -> int:
        """Take as much at a time as the other publisher."""
        return MOST_IN_FLIGHT

    def publish(self, messages: Sequence[Message], _deadline: float) -> Receipt:
        """Publish one after the other."""
        for message in messages:
            properties = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}
            content = amqp.Message(message.body, application_headers=message.headers, message_id=message.id, **properties)
            self._channel.basic_publish(content, exchange="", routing_key=message.queue, mandatory=True)
        return Receipt(acked=list(messages))

    def close(self) -> None:
        """Drop the connection."""
        self._connection.close()


def batching(rounds: int = ROUNDS) -> bool:
    """Measure both pairs; returns whether both win enough."""
    with a_shop() as shop:
        app = create_app()
        with app.app_context():
            envelopes = Envelopes(app.extensions["celery"])
            publisher = AmqpPublisher(shop.node.url())
            pipelined = Relay(publisher, envelopes)
            waiting: Any = Relay(Waiting(shop.node.url()), envelopes)  # type: ignore[arg-type]
            relay = _ratio(
                "relay, rows/s",
                lambda: _relay(shop, pipelined, ROWS),
                lambda: _relay(shop, waiting, ROWS_ALONE),
                rounds,
            )
            products = [shop.world.product(PLENTY) for _ in range(9)]
            settle = _ratio(
                f"settle, orders/s at {BATCH}",
                lambda: _settle(shop, products, ORDERS, BATCH),
                lambda: _settle(shop, products, ORDERS_ALONE, 1),
                rounds,
            )
    return relay >= AT_LEAST and settle >= AT_LEAST


def _ratio(what: str, together: Callable[[], float], alone: Callable[[], float], rounds: int) -> float:
    pairs = [(together(), alone()) for _ in range(rounds)]
    fast, slow = (median(values) for values in zip(*pairs, strict=True))
    click.echo(f"{what}: {fast:.0f}, one at a time {slow:.0f}: {fast / slow:.1f} times (median of {rounds})")
    return fast / slow


def _relay(shop: Shop, relay: Relay, count: int) -> float:
    """Return rows a second from the outbox into RabbitMQ."""
    shop.world.rows(_ROWS, count)
    began = time.perf_counter()
    while relay.relay_once():
        pass
    took = time.perf_counter() - began
    assert shop.world.outbox_is_empty()
    shop.world.messages.purge("maintenance")
    return count / took


def _settle(shop: Shop, products: list[int], count: int, batch: int) -> float:
    """Return orders settled a second, with all their rows."""
    ids = sorted(plant(shop.world, products, count, str(uuid4())).accepted.values())
    shop.world.rows("DELETE FROM outbox")
    began = time.perf_counter()
    for start in range(0, count, batch):
        process_orders(ids[start : start + batch], str(uuid4()))
    took = time.perf_counter() - began
    assert shop.world.statuses(ids) == {"confirmed"}
    shop.world.rows("DELETE FROM outbox")
    return count / took
