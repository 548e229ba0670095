"""Flower: a login, or loopback; started in whatever way."""

import socket
from typing import Any

import pytest
import requests
from tornado.options import OptionParser

from orderapp.flower_login import _close
from tests.servers.processes import Process, Processes
from tests.servers.waiting import free_port, wait_until

LOGIN = "olga:correct horse battery"

# Seconds: an import of the application and of Tornado on two busy cores.
START = 60

# Every address of 127.0.0.0/8 is this machine; whoever listens on all addresses answers here, who listens on 127.0.0.1 not.
ANOTHER = "127.0.0.2"


@pytest.fixture
def port() -> int:
    """Return a free port."""
    return free_port()


def flower(processes: Processes, port: int, *arguments: str, **environment: str) -> Process:
    """Start Flower as an operator does, and return when it listens or has ended; it needs neither database nor broker."""
    environment = {"FLOWER_PORT": str(port), **environment}
    process = processes.start("flower", "celery", "-A", "celery_worker", "flower", *arguments, **environment)
    wait_until(lambda: process.exit_code is not None or listens("127.0.0.1", port), START, "Flower")
    return process


def listens(address: str, port: int) -> bool:
    """Tell whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def status(address: str, port: int, login: str = "") -> int:
    """Return how the page of workers answers."""
    user, _, password = login.partition(":")
    return requests.get(f"http://{address}:{port}/workers", auth=(user, password) if login else None, timeout=10).status_code


def test_the_bare_command_stays_on_loopback(processes: Processes, port: int) -> None:
    """Its own default is every address of the machine, without a login. A blank variable counts as unset."""
    flower(processes, port, FLOWER_BASIC_AUTH="")
    assert not listens(ANOTHER, port)
    assert status("127.0.0.1", port) == 200


def test_with_a_login_it_listens_where_it_is_told_and_asks_everybody(processes: Processes, port: int) -> None:
    """On loopback too."""
    flower(processes, port, "--address=0.0.0.0", FLOWER_BASIC_AUTH=LOGIN)
    assert [status(address, port) for address in ("127.0.0.1", ANOTHER)] == [401, 401]
    assert status(ANOTHER, port, "olga:guess") == 401
    assert status(ANOTHER, port, LOGIN) == 200


def test_without_a_login_it_refuses_any_other_address(processes: Processes, port: int) -> None:
    """And says what to set; it has not listened for a moment."""
    refused = flower(processes, port, FLOWER_ADDRESS="0.0.0.0")
    assert refused.exit_code == 1
    assert "set FLOWER_BASIC_AUTH=user:password" in refused.text
    assert "Visit me" not in refused.text


def options(**told: Any) -> OptionParser:
    """Return Flower's options as it has read them from arguments, variables and its file."""
    parser = OptionParser()
    for name, kind, default, multiple in (
        ("basic_auth", str, None, True),
        ("auth", str, "", False),
        ("address", str, "", False),
        ("unix_socket", str, "", False),
        ("port", int, 5555, False),
    ):
        parser.define(name, default=default, type=kind, multiple=multiple)
    for name, value in told.items():
        setattr(parser, name, value)
    return parser


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.7", "this-host.example"])
@pytest.mark.parametrize("login", [[], [""]], ids=["none", "blank"])
def test_every_way_in_from_outside_is_refused_without_a_login(address: str, login: list[str]) -> None:
    """A name may mean anything."""
    with pytest.raises(SystemExit, match="set FLOWER_BASIC_AUTH"):
        _close(options(address=address, basic_auth=login), None, 5555)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_login(address: str) -> None:
    """Who is on this machine may look."""
    told = options(address=address)
    _close(told, None, 5555)
    assert (told.address, told.basic_auth) == (address, [])


def test_login_and_port_of_the_settings_hold_where_flower_was_told_none() -> None:
    """They may come from .env or a file, of which Flower itself knows nothing; its own arguments go before them."""
    silent, told = options(address="0.0.0.0"), options(basic_auth=["a:b"], port=6000, address="0.0.0.0")
    _close(silent, "olga:secret,paul:secret", 5556)
    _close(told, "olga:secret", 5556)
    assert (silent.basic_auth, silent.port) == (["olga:secret", "paul:secret"], 5556)
    assert (told.basic_auth, told.port) == (["a:b"], 6000)
