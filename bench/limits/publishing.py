"""What RabbitMQ takes from one Python process: persistent messages, pipelined confirms, a quorum queue, nothing else.

Ends with a line ``rate N``. Fixed: never adjusted to what the service does.
"""

import struct
import sys
import time
from typing import Any

import amqp

# Unconfirmed messages at once, and messages per write to the socket; more of either gained nothing.
IN_FLIGHT, WRITE = 1000, 50


def encoded(channel: int, queue: str, body: bytes) -> bytes:
    """Return basic.publish, its header (persistent) and its body as AMQP 0-9-1 frames: the same bytes for every message."""
    name = queue.encode()
    method = struct.pack(">HHHBB", 60, 40, 0, 0, len(name)) + name + b"\0"
    header = struct.pack(">HHQHB", 60, 0, len(body), 0x1000, 2)
    return b"".join(
        struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"
        for kind, payload in ((1, method), (2, header), (3, body))
    )


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
        message = encoded(channel.channel_id, queue, b"x" * size)
        began = time.perf_counter()
        for sent in range(0, count, WRITE):
            while sent + WRITE - confirmed > IN_FLIGHT:
                connection.drain_events(timeout=10)
            connection.transport.write(message * min(WRITE, count - sent))
        while confirmed < count:
            connection.drain_events(timeout=10)
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print("rate", main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
