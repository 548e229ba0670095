"""A taken port is named before anything is started."""

import socket
from collections.abc import Iterator

import pytest

from orderapp.local.ports import Port, port_faults


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def a_free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_free_ports_are_no_fault() -> None:
    """Two looks in a row: looking takes nothing."""
    ports = [Port("PORT", "127.0.0.1", a_free_port(), "the API")]
    assert port_faults(ports) == port_faults(ports) == []


def test_a_taken_port_is_named_with_the_command_that_moves_it(taken: int) -> None:
    """The number offered is free, and every port is looked at."""
    ports = [Port("PORT", "127.0.0.1", taken, "the API"), Port("FLOWER_PORT", "127.0.0.1", taken, "Flower")]
    api, flower = port_faults(ports)
    assert api.startswith(f"PORT: port {taken} for the API is taken by another program; another one: PORT=")
    assert api.endswith(" make run")
    offered = int(api.partition("PORT=")[2].split()[0])
    assert offered > taken
    assert port_faults([Port("PORT", "127.0.0.1", offered, "the API")]) == []
    assert flower.startswith(f"FLOWER_PORT: port {taken} for Flower is wanted by PORT, too; another one: FLOWER_PORT=")


def test_a_port_whose_last_connection_has_just_ended_is_free() -> None:
    """A restart does not wait for the kernel's minute."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", number))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    assert port_faults([Port("PORT", "127.0.0.1", number, "the API")]) == []


def test_an_address_of_another_machine_is_named() -> None:
    """TEST-NET-1 is nobody's."""
    (fault,) = port_faults([Port("PORT", "192.0.2.1", a_free_port(), "the API")])
    assert "cannot be used on 192.0.2.1 (Cannot assign requested address); set PORT to a free one" in fault


def test_ipv6_is_looked_at_as_such(taken: int) -> None:
    """The same number is free on another address."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    assert port_faults([Port("PORT", "::1", taken, "the API")]) == []
