"""No URL makes us connect to an address that is not public: not by its spelling, its resolver or a redirect."""

import socket
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from orderapp.webhooks import addresses
from orderapp.webhooks.addresses import RefusedError, refuse_private
from orderapp.webhooks.endpoint import Endpoint
from orderapp.webhooks.target import post

from . import SECRET
from .conftest import Logged
from .receivers import RecordingReceiver, answering

# Every way to write an address of this host, of its network or of nobody; each as https unless it says otherwise.
# fmt: off
HOSTS = [
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "0177.0.0.1", "0177.1", "0x7f.0.0.1", "0x7f.1",
    "0x7f000001", "2130706433", "017700000001", "127.000.000.001", "0", "0.0.0.0", "0.0.0.1", "00", "0x0",
    "10.0.0.1", "10.1", "012.0.0.1", "0xa000001", "167772161", "172.16.0.1", "172.31.255.255", "0xac.0x10.0.1",
    "192.168.0.1", "192.168.1", "3232235777", "0300.0250.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166",
    "0251.0376.0251.0376", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[ff0e::1]",
    "[100::1]", "[2001:db8::1]", "[2001::1]", "[2001:10::1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[3fff::1]", "[5f00::1]", "localhost", "localhost.", "LOCALHOST", "LocalHost", "127.0.0.1.", "①②⑦.⓪.⓪.①",
    "127。0。0。1"
]
# fmt: on

URLS = [f"https://{host}/hook" for host in HOSTS] + [
    "http://127.0.0.1/", "http://shop.example/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:70/_x",
    "//127.0.0.1/", "https://user:word@127.0.0.1/", "https://shop.example@127.0.0.1/",
    "https://shop.example:x@127.0.0.1/", "https:///127.0.0.1", "https://127.0.0.1#@shop.example/",
    "https://127.0.0.1\\@shop.example/", "https://127.0.0.1%2f@shop.example/", "https://127.0.0.1:22/",
    "https://[::1]:5432/", "https://127.0.0.1%00.shop.example/", "https://%31%32%37.0.0.1/", "https://", "",
]  # fmt: skip

CONNECTED: list[str] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        CONNECTED.append(str(arguments[1][0]))


@pytest.fixture(scope="module", autouse=True)
def _watch() -> None:
    """Let the interpreter itself tell of every connection to an address, whichever library makes it."""
    sys.addaudithook(_audit)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give the addresses that this test connects to; nothing leaves this machine."""
    CONNECTED.clear()
    monkeypatch.setattr(addresses, "CONNECT_TIMEOUT", 0.2)
    yield CONNECTED
    CONNECTED.clear()


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let each look-up of a name get the next of these answers, the last one again and again; returns what was asked."""
    asked: list[str] = []
    resolve: Callable[..., Any] = socket.getaddrinfo

    def answer(host: str, port: Any, *rest: Any, **named: Any) -> Any:
        if not host.endswith(".example"):
            return resolve(host, port, *rest, **named)
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [entry for address in found for entry in resolve(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_there_are_many() -> None:
    """The list is what this file is for."""
    assert len(set(URLS)) >= 60


@pytest.mark.parametrize("url", URLS)
def test_a_hostile_url_is_connected_to_nowhere(url: str, connected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused in words; a name that looks public resolves to this host."""
    resolving(monkeypatch, ["127.0.0.1"])
    answer = post(Endpoint(url, SECRET), b"{}", {}, 2)
    assert not answer.received
    assert answer.error
    assert [address for address in connected if not ip_address(address).is_global] == []


def test_a_resolver_that_changes_its_mind_is_asked_once(connected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was vetted is connected to; a second answer, at the next attempt, is vetted anew."""
    vetted: list[str] = []

    def vet(address: str) -> None:
        vetted.append(address)
        raise RefusedError("as if it were private: nothing leaves this machine")

    asked = resolving(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    monkeypatch.setattr(addresses, "refuse_private", vet)
    for _ in range(2):
        post(Endpoint("https://shop.example/hook", SECRET), b"{}", {}, 2)
    assert asked == ["shop.example"] * 2
    assert vetted == ["93.184.216.34", "127.0.0.1"]
    assert connected == []


def test_each_address_is_vetted_and_the_good_one_reached(
    receiver: RecordingReceiver, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private one among them is passed over, a dead one too; the next gets the webhook under the URL's name."""

    def vet(address: str) -> None:
        if not address.startswith("127.0.0."):
            raise RefusedError("private")

    resolving(monkeypatch, ["10.0.0.1", "127.0.0.9", "127.0.0.1"])
    monkeypatch.setattr(addresses, "refuse_private", vet)
    port = receiver.server_port
    answer = post(Endpoint(f"http://shop.example:{port}/hook", SECRET, frozenset({"other"})), b"{}", {}, 2)
    assert answer.error is not None  # plain http is for allowed hosts
    with addresses.connect("shop.example", port, vetted=True) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    assert connected == ["127.0.0.9", "127.0.0.1"]


@pytest.mark.usefixtures("app")
def test_where_a_name_leads_inside_our_network_is_told_to_the_log_only(
    logged: Logged, connected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client reads its attempts' errors: with an address in them they would map our names and networks for it."""
    resolving(monkeypatch, ["10.1.2.3", "fd00::1"])
    answer = post(Endpoint("https://intra.example/hook", SECRET), b"{}", {}, 2)
    assert answer.error == "its address is private; allow it by WEBHOOK_ALLOWED_HOSTS"
    refused = [line for line in logged() if line["event"] == "private address refused"]
    assert [(line["host"], line["address"], line["level"]) for line in refused] == [
        ("intra.example", "10.1.2.3", "info"),
        ("intra.example", "fd00::1", "info"),
    ]
    assert connected == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(receiver: RecordingReceiver, endpoint: Endpoint, connected: list[str], status: int) -> None:
    """Not even from a host that may be private: the next one in the chain is not asked."""
    receiver.behave = answering(status, location="http://127.0.0.2:1/metadata")
    assert post(endpoint, b"{}", {}, 2).error == f"answered {status}: redirects are not followed"
    assert connected in ([], ["127.0.0.1"])
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_not_refused(address: str) -> None:
    """The guard lets webhooks out."""
    refuse_private(address)
