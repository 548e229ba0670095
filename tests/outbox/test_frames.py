"""Our frames against py-amqp's own: the same bytes for the same message."""

from types import SimpleNamespace
from typing import Any

import amqp
import pytest
from amqp.method_framing import frame_writer
from amqp.serialization import dumps

from orderapp.outbox import frames

ID = "019a0000-0000-7000-8000-000000000001"
SHARED = {"lang": "py", "eta": None, "retries": 0, "timelimit": [None, None], "ignore_result": False, "stamps": {}}


def by_the_library(queue: str, body: bytes, headers: dict[str, Any], largest: int, exchange: str = "") -> bytes:
    """Return what py-amqp writes for a publish on channel 2."""
    written = bytearray()
    connection = SimpleNamespace(frame_max=largest, bytes_sent=0)
    write = frame_writer(connection, SimpleNamespace(write=written.extend))
    content = amqp.Message(
        body,
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        correlation_id=ID,
        message_id=ID,
        application_headers=headers,
    )
    write(1, 2, (60, 40), dumps("Bssbb", (0, exchange, queue, not exchange, False)), content)
    return bytes(written)


def by_us(queue: str, body: bytes, own: dict[str, str], largest: int) -> bytes:
    """Return what we write for it."""
    shared = dumps("F", (SHARED,))[4:]
    return frames.publish(2, queue, frames.properties(ID, shared + frames.table_entries(own)), body, largest)


@pytest.mark.parametrize("size", [0, 1, 100, 4087, 4088, 4089, 9000, 131_064, 131_065, 300_000])
@pytest.mark.parametrize("largest", [4096, 131_072])
def test_bodies_of_every_size_are_cut_as_the_library_cuts_them(size: int, largest: int) -> None:
    """A broker may negotiate small frames; a body that is one octet too long makes one more frame."""
    body = b"x" * size
    own = {"id": ID, "argsrepr": "([1],)"}
    assert by_us("orders", body, own, largest) == by_the_library("orders", body, SHARED | own, largest)


@pytest.mark.parametrize("own", [{}, {"a": ""}, {"request_id": "ä€𝄞"}, {"n" * 255: "v" * 70_000}])
def test_headers_of_every_kind_are_written_as_the_library_writes_them(own: dict[str, str]) -> None:
    """Lengths are counted in octets, not in characters."""
    assert by_us("queue.ä", b"{}", own, 131_072) == by_the_library("queue.ä", b"{}", SHARED | own, 131_072)


def test_what_goes_to_an_exchange_need_not_be_taken_by_anybody() -> None:
    """Its name and no wish to have the message back; all else is alike."""
    ours = frames.publish(2, "order.placed", frames.properties(ID, b""), b"{}", 4096, exchange="shop.events")
    assert ours == by_the_library("order.placed", b"{}", {}, 4096, "shop.events")
