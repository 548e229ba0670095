"""What RabbitMQ takes from one Python process: persistent messages, pipelined confirms, a quorum queue, nothing else.

Ends with a line ``rate N``. Fixed: never adjusted to what the service does.
"""

import sys
import time
from typing import Any

import amqp

# Unconfirmed messages at once; more gained nothing.
IN_FLIGHT = 1000


def main(url: str, queue: str, count: int, size: int) -> float:
    """Publish and await every confirm; return the messages per second."""
    login, _, place = url.removeprefix("amqp://").partition("@")
    host, _, vhost = place.partition("/")
    user, _, password = login.partition(":")
    with amqp.Connection(host, user, password, virtual_host=vhost) as connection:
        channel: Any = connection.channel()
        channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        channel.confirm_select()
        confirmed = 0

        def on_ack(tag: int, multiple: bool) -> None:
            nonlocal confirmed
            confirmed = tag if multiple else confirmed + 1

        channel.events["basic_ack"].add(on_ack)
        body = b"x" * size
        began = time.perf_counter()
        for sent in range(count):
            channel.basic_publish(amqp.Message(body, delivery_mode=2), routing_key=queue)
            while sent - confirmed >= IN_FLIGHT:
                connection.drain_events(timeout=10)
        while confirmed < count:
            connection.drain_events(timeout=10)
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print("rate", main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
