"""Why the relay has a publisher of its own: a window in flight against a wait after each message."""

import time
from collections.abc import Callable

import amqp
from flask import Flask
from kombu import Connection

from orderapp.outbox.broker import AmqpPublisher
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.receipts import Message
from orderapp.queues import TASKS, WEBHOOKS_DELIVER
from tests.outbox.consumer import take

# Messages of one window; what waiting for each costs is measured on fewer, for it takes long.
WINDOW, WAITED = 1000, 200

# What pipelining must win; 8 and more were seen on two busy cores.
AT_LEAST = 4


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def messages(app: Flask, count: int) -> list[Message]:
    """Return messages of one delivery each."""
    envelopes = Envelopes(app.extensions["celery"])
    return [envelopes(TASKS[WEBHOOKS_DELIVER], [[number]], {}, (number,)) for number in range(1, count + 1)]


def one_by_one(url: str, batch: list[Message]) -> float:
    """Return the seconds per message with py-amqp's own confirms, which wait after each."""
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        channel = connection.default_channel

        def publish() -> None:
            for message in batch:
                properties = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}
                content = amqp.Message(message.body, application_headers=message.headers, **properties)
                channel.basic_publish(content, exchange="", routing_key=message.queue, mandatory=True)

        return seconds(publish) / len(batch)


def test_a_window_in_flight_beats_waiting_for_each_message(broker: str, app: Flask) -> None:
    """On the same node, in the same run; the best of three, for others use this machine, too."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    batch = messages(app, WINDOW)

    def window() -> None:
        assert len(publisher.publish(batch, time.monotonic() + 30).acked) == WINDOW

    pipelined = min(seconds(window) for _ in range(3)) / WINDOW
    waiting = min(one_by_one(broker, batch[:WAITED]) for _ in range(3))
    publisher.close()

    assert waiting / pipelined >= AT_LEAST, f"{waiting * 1e6:.0f} us waiting, {pipelined * 1e6:.0f} us in flight, per message"
    assert len(take(broker, "webhooks")) == 3 * (WINDOW + WAITED)
