"""The receiver for trying things out: it checks, tells and answers."""

import http.client
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from orderapp.loop import StopSignal, run
from orderapp.webhooks.endpoint import Answer, Endpoint
from orderapp.webhooks.receiver import Behaviour, Received, Receiver
from orderapp.webhooks.signature import signed_headers
from orderapp.webhooks.target import post

from . import SECRET

OTHER = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcg=="
BODY = (
    b'{"id": "evt_1", "type": "order.confirmed", "sequence": 2,'
    b' "data": {"id": 7, "status": "confirmed", "total_amount": "110500.00", "currency": "USD"}}'
)


@pytest.fixture
def told() -> list[Received]:
    """Return what the receiver has told so far."""
    return []


@pytest.fixture
def server(told: list[Received]) -> Iterator[Receiver]:
    """Run a receiver as the command does."""
    stop = StopSignal()
    with Receiver(0, SECRET, told.append) as receiver:
        thread = threading.Thread(target=run, args=(receiver.run_once, stop))
        thread.start()
        yield receiver
        stop.set()
        thread.join(5)
        assert not thread.is_alive()


def send(server: Receiver, body: bytes, secret: str = SECRET) -> int | None:
    """Post a body as our sender does; returns the status."""
    return answer(server, body, secret).status_code


def answer(server: Receiver, body: bytes, secret: str = SECRET, timeout: float = 15) -> Answer:
    """Post a body as our sender does; returns what came of it."""
    address = f"127.0.0.1:{server.server_port}"
    endpoint = Endpoint(f"http://{address}/", secret, frozenset({address}))
    return post(endpoint, body, signed_headers([secret], "evt_1", body, datetime.now(UTC)), timeout)


def test_a_true_webhook_is_told_in_one_line_and_answered_200(server: Receiver, told: list[Received]) -> None:
    """Time, type, order, status, total, sequence, signature."""
    assert send(server, BODY) == 200
    (webhook,) = told
    assert str(webhook)[8:] == "  order.confirmed  order 7 confirmed  total 110500.00 USD  sequence 2  signature valid"


def test_a_wrong_signature_is_told_with_its_reason_and_answered_400(server: Receiver, told: list[Received]) -> None:
    """The sender sees that it was not received, the person sees why."""
    assert send(server, BODY, OTHER) == 400
    assert str(told[0]).endswith("signature INVALID: No matching signature found")


@pytest.mark.parametrize("body", [b"not JSON", b"[1]", b'{"data": 3}', b"{}"])
def test_a_body_that_is_no_webhook_is_told_too(server: Receiver, told: list[Received], body: bytes) -> None:
    """Nothing that arrives makes the receiver fail."""
    assert send(server, body) == 200
    assert "order ? ?" in str(told[0])


def test_a_stranger_cannot_steer_the_terminal(server: Receiver, told: list[Received]) -> None:
    """Escape sequences and line breaks in a body are shown as blanks."""
    send(server, b'{"type": "a\\u001b[31m\\nb"}')
    assert str(told[0])[8:].startswith("  a [31m b  order")


@pytest.mark.parametrize("length", [None, "x", "-1", "99999999999"])
def test_a_body_without_a_sensible_length_is_refused(server: Receiver, told: list[Received], length: str | None) -> None:
    """It is not read at all."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.putrequest("POST", "/")
    if length is not None:
        connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status == 400
    assert told == []
    connection.close()


def test_half_a_webhook_is_not_told(server: Receiver, told: list[Received]) -> None:
    """A worker that is killed after the headers has forged nothing; the rescuer has the whole sent again."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as killed:
        killed.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        killed.shutdown(socket.SHUT_WR)
        assert killed.recv(1) == b""
    assert told == []


def test_several_webhooks_come_over_one_connection(server: Receiver, told: list[Received]) -> None:
    """It speaks HTTP/1.1 like real receivers."""
    assert [send(server, BODY) for _ in range(3)] == [200, 200, 200]
    assert len(told) == 3


def test_only_this_machine_reaches_it(server: Receiver) -> None:
    """It listens on loopback."""
    assert server.server_address[0] == "127.0.0.1"


def test_it_answers_what_it_is_told_and_late(server: Receiver, told: list[Received]) -> None:
    """The webhook is told all the same, and told to be valid: only the answer misbehaves."""
    server.behaviour = Behaviour(status=503, delay=0.3)
    late = answer(server, BODY)
    assert (late.status_code, late.duration_ms >= 300) == (503, True)
    assert [webhook.fault for webhook in told] == [None]


def test_it_hangs_when_it_is_told_to(server: Receiver, told: list[Received]) -> None:
    """The sender gives up; the receiver still answers others, and ends when it is stopped."""
    server.behaviour = Behaviour(hang=True)
    assert answer(server, BODY, timeout=0.4).error == "no answer within 0.4 s"
    server.behaviour = Behaviour()
    assert send(server, BODY) == 200
    assert len(told) == 2
