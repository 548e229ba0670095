"""Who may read metrics, and the small server of processes that have no other."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import ThreadingHTTPServer

import pytest
import requests
from flask import Flask

from orderapp import exposition, telemetry
from orderapp.exposition import may_read
from tests.servers.waiting import free_port

TOKEN = "a-token-of-some-length"

HERE, ELSEWHERE = "127.0.0.1", "192.0.2.7"

CALLERS = {
    "this machine": (HERE, {}, True),
    "this machine by IPv6": ("::1", {}, True),
    "this machine by IPv4 inside IPv6": ("::ffff:127.0.0.1", {}, True),
    "somebody": (ELSEWHERE, {}, False),
    "somebody with the token": (ELSEWHERE, {"Authorization": f"Bearer {TOKEN}"}, True),
    "somebody with half of it": (ELSEWHERE, {"Authorization": f"Bearer {TOKEN[:-1]}"}, False),
    "somebody with the token alone": (ELSEWHERE, {"Authorization": TOKEN}, False),
    "somebody with letters of the world": (ELSEWHERE, {"Authorization": "Bearer \u00e4\u00f6"}, False),
    "a proxy on this machine": (HERE, {"X-Forwarded-For": ELSEWHERE}, False),
    "a proxy that believes its caller": (HERE, {"X-Forwarded-For": HERE}, False),
    "a proxy of another kind": (HERE, {"Forwarded": "for=192.0.2.7"}, False),
    "a proxy with the token": (HERE, {"X-Real-IP": ELSEWHERE, "Authorization": f"Bearer {TOKEN}"}, True),
    "a Unix socket": ("", {}, False),
}


@pytest.mark.parametrize(("peer", "headers", "may"), CALLERS.values(), ids=CALLERS)
def test_this_machine_and_who_has_the_token_may_read(peer: str, headers: dict[str, str], *, may: bool) -> None:
    """A proxy brings the world to our loopback, so that it needs the token."""
    assert may_read(peer, headers.get, TOKEN) is may


@pytest.mark.parametrize("given", ["Bearer ", "Bearer None", ""])
def test_without_a_token_in_the_settings_none_opens(given: str) -> None:
    """Unset is not empty."""
    assert not may_read(ELSEWHERE, {"Authorization": given}.get, None)


@pytest.fixture
def listening(app: Flask) -> Iterator[Callable[..., ThreadingHTTPServer | None]]:
    """Return what starts the listener; it ends with the test."""
    started: list[ThreadingHTTPServer] = []

    def start(address: str | None) -> ThreadingHTTPServer | None:
        server = exposition.listen(replace(app.extensions["settings"], metrics_listen=address, metrics_token=TOKEN))
        started.extend([server] if server else [])
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


Start = Callable[..., ThreadingHTTPServer | None]


def test_a_process_without_a_web_server_shows_its_numbers(listening: Start) -> None:
    """At its own address; nothing else is there."""
    address = f"127.0.0.1:{free_port()}"
    telemetry.note_rescued("orders", 3)
    listening(address)
    answer = requests.get(f"http://{address}/metrics", timeout=10)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'orderapp_rescued_total{what="orders"}' in answer.text
    assert requests.get(f"http://{address}/", timeout=10).status_code == 404
    through_a_proxy = {"X-Forwarded-For": ELSEWHERE}
    assert requests.get(f"http://{address}/metrics", headers=through_a_proxy, timeout=10).status_code == 403


def test_ipv6_is_an_address_like_any_other(listening: Start) -> None:
    """In brackets, as everywhere."""
    port = free_port()
    assert listening(f"[::1]:{port}")
    assert requests.get(f"http://[::1]:{port}/metrics", timeout=10).status_code == 200


@pytest.mark.parametrize("fault", ["taken", "no address", "no port"])
def test_a_port_that_cannot_be_had_is_said_and_no_reason_to_end(
    listening: Start, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """A second relay with the settings of the first relays all the same."""
    address = f"127.0.0.1:{free_port()}"
    assert listening(address)
    assert listening({"taken": address, "no address": "192.0.2.7:9", "no port": "127.0.0.1:99999"}[fault]) is None
    assert "metrics are not shown" in caplog.text


def test_without_the_setting_nobody_listens(listening: Start) -> None:
    """The default."""
    assert listening(None) is None
