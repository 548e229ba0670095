"""The way out over TLS: the same promises, and the address that was vetted is the one connected to."""

import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderapp.webhooks import addresses, target
from orderapp.webhooks.endpoint import Endpoint
from orderapp.webhooks.target import fault_on_the_way, post

from . import SECRET
from .receivers import RecordingReceiver, answering, dripping

# Self-signed for localhost, with its key: worth nothing anywhere else.
CERTIFICATE = Path(__file__).with_name("localhost.pem")

# Seconds: short enough for a test, long enough for loopback.
SHORT = 0.5


@pytest.fixture
def secure() -> Iterator[RecordingReceiver]:
    """Start a stranger's server that speaks TLS."""
    with RecordingReceiver(CERTIFICATE) as server:
        yield server


@pytest.fixture
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the test's certificate as if a public authority had signed it."""
    for vetted in (True, False):
        options = target._connections(os.getpid(), vetted=vetted).connection_pool_kw
        monkeypatch.setitem(options, "ssl_context", ssl.create_default_context(cafile=CERTIFICATE))


def allowed(port: int) -> Endpoint:
    """Return an endpoint on this port that the operator trusts."""
    return Endpoint(f"https://localhost:{port}/hook", SECRET, frozenset({"localhost"}))


@pytest.mark.usefixtures("_trusted")
def test_a_webhook_is_received_over_one_kept_connection(secure: RecordingReceiver) -> None:
    """The handshake is paid once."""
    secure.behave = answering(200, b"thank you")
    assert all(post(allowed(secure.server_port), b"{}", {}).received for _ in range(3))
    assert len({request.peer for request in secure.requests}) == 1


def test_a_certificate_of_nobody_is_refused(secure: RecordingReceiver) -> None:
    """Being on the list of allowed hosts is no proof of identity."""
    answer = post(allowed(secure.server_port), b"{}", {})
    assert answer.error is not None
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert secure.requests == []


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Long: ", None),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 200),
        (b"HTTP/1.1 500 No\r\nContent-Length: 99999\r\n\r\n", 500),
    ],
)
def test_a_dripping_receiver_is_cut_off(secure: RecordingReceiver, start: bytes, status: int | None) -> None:
    """The shutdown reaches the socket below TLS."""
    secure.behave = dripping(start)
    begin = time.monotonic()
    answer = post(allowed(secure.server_port), b"{}", {}, SHORT)
    assert answer.status_code == status
    assert answer.received == (status == 200)
    assert time.monotonic() - begin < 2


def test_a_handshake_that_never_ends_is_left_in_time() -> None:
    """The port is open, and nobody speaks TLS there."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        begin = time.monotonic()
        answer = post(allowed(mute.getsockname()[1]), b"{}", {}, SHORT)
    assert answer.error == "no answer within 0.5 s"
    assert time.monotonic() - begin < 2


@pytest.mark.usefixtures("_trusted")
def test_the_vetted_address_is_connected_to_under_the_name_of_the_url(
    secure: RecordingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is resolved once; certificate, SNI and Host are still checked and sent for the name."""
    vetted: list[str] = []
    resolved: list[str] = []
    resolve = socket.getaddrinfo
    monkeypatch.setattr(addresses, "refuse_private", vetted.append)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **named: resolved.append(host) or resolve(host, *rest, **named)
    )
    answer = post(Endpoint(f"https://localhost:{secure.server_port}/hook", SECRET), b"{}", {})
    assert answer.received, answer.error
    assert resolved == ["localhost"]
    assert vetted in (["127.0.0.1"], ["::1", "127.0.0.1"])
    assert secure.requests[0].headers["Host"] == f"localhost:{secure.server_port}"


@pytest.mark.usefixtures("_trusted")
def test_the_doctor_connects_as_a_webhook_does_and_says_nothing(secure: RecordingReceiver) -> None:
    """With TLS, to a vetted address; a receiver hears of no order that is not one."""
    url = f"https://localhost:{secure.server_port}/hook"
    assert fault_on_the_way(url, frozenset({"localhost"})) is None
    assert "is private" in str(fault_on_the_way(url, frozenset()))
    assert secure.requests == []


def test_the_doctor_names_a_certificate_of_nobody(secure: RecordingReceiver) -> None:
    """It would keep every webhook away; so would a port where nobody listens."""
    url = f"https://localhost:{secure.server_port}/hook"
    assert "CERTIFICATE_VERIFY_FAILED" in str(fault_on_the_way(url, frozenset({"localhost"})))
    assert "no connection" in str(fault_on_the_way("https://localhost:9/hook", frozenset({"localhost"})))
