"""``tests/servers/links.py``: each fault is what it says, seen from both sides."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from tests.servers.links import Link, Network, a_network
from tests.servers.waiting import free_port, wait_until

# Seconds after which nothing is taken to mean that nothing comes.
SILENCE = 0.2

# Seconds for what does come, on a busy machine.
SOON = 10


@pytest.fixture
def network() -> Iterator[Network]:
    """Give a network."""
    with a_network() as network:
        yield network


class Echo:
    """A server that says everything again, and keeps what it was told."""

    def __init__(self) -> None:
        self.port = free_port()
        self.heard = b""
        self.sizes: list[int] = []
        self.ended = 0
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    self.heard += data
                    self.sizes.append(len(data))
                    connection.sendall(data)
            except OSError:
                pass
        self.ended += 1


@pytest.fixture
def echo() -> Iterator[Echo]:
    """Give a server."""
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def link(network: Network, echo: Echo) -> Link:
    """Return a link to it."""
    return network.link("client - echo", ("127.0.0.1", echo.port))


def _connected(link: Link) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", link.port), SOON)
    assert _say(client, b"hello") == b"hello"
    return client


def _say(client: socket.socket, words: bytes) -> bytes:
    client.sendall(words)
    return client.recv(len(words))


def _is_silent(client: socket.socket) -> bool:
    client.settimeout(SILENCE)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(SOON)
    return False


def test_a_well_link_carries_words_and_farewells(link: Link, echo: Echo) -> None:
    """Both ways; when the client goes, the server hears of it and nothing is left."""
    with closing(_connected(link)):
        assert link.connections == 1
    wait_until(lambda: echo.ended == 1, SOON, "the farewell")
    wait_until(lambda: link.connections == 0, SOON, "the end of the pair")


def test_a_black_hole_swallows_everything_until_it_is_healed(link: Link, echo: Echo) -> None:
    """Old and new connections alike; what was swallowed comes late, as a network's retransmissions would."""
    with closing(_connected(link)) as client, closing(_connected(link)) as leaving:
        link.swallow()
        client.sendall(b"lost?")
        leaving.close()
        with closing(socket.create_connection(("127.0.0.1", link.port), SOON)) as new:
            new.sendall(b"anybody?")
            assert _is_silent(new)
        assert _is_silent(client)
        assert (echo.heard, echo.ended) == (b"hellohello", 0)
        link.heal()
        assert client.recv(5) == b"lost?"
        wait_until(lambda: echo.ended >= 1, SOON, "the farewell")


def test_half_open_means_that_only_the_server_knows(link: Link, echo: Echo) -> None:
    """As after a firewall has forgotten the connection; who connects anew is served."""
    with closing(_connected(link)) as client:
        link.half_open()
        wait_until(lambda: echo.ended == 1, SOON, "the server's end")
        assert _is_silent(client)
        _connected(link).close()
        link.heal()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_reset_is_one_and_the_next_connection_is_well(link: Link, echo: Echo) -> None:
    """Not a farewell: psycopg2 and amqp word the two differently."""
    with closing(_connected(link)) as client:
        link.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    wait_until(lambda: echo.ended == 1, SOON, "the server's end")
    _connected(link).close()


def test_a_link_that_refuses_is_like_a_server_that_is_down(link: Link) -> None:
    """And listens again at the same port when it is healed."""
    with closing(_connected(link)) as client:
        link.refuse()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", link.port), SOON)
    link.heal()
    _connected(link).close()


def test_a_server_that_is_down_ends_the_connection(network: Network) -> None:
    """The proxy itself is there, so that a client cannot be refused; it is reset at once."""
    link = network.link("client - nobody", ("127.0.0.1", free_port()))
    with pytest.raises(ConnectionResetError), closing(socket.create_connection(("127.0.0.1", link.port), SOON)) as client:
        client.recv(1)


def test_latency_is_paid_in_each_direction(link: Link) -> None:
    """And ends by itself where that was asked for."""
    with closing(_connected(link)) as client:
        link.slow(SILENCE)
        began = time.monotonic()
        assert _say(client, b"slow") == b"slow"
        assert time.monotonic() - began >= 2 * SILENCE
        link.swallow()
        link.heal_after(SILENCE)
        began = time.monotonic()
        assert _say(client, b"late") == b"late"
        assert time.monotonic() - began >= SILENCE / 2


def test_chopped_words_arrive_whole_in_pieces(link: Link, echo: Echo) -> None:
    """Every reader that takes one read for one message is found out."""
    with closing(_connected(link)) as client:
        link.chop(3)
        client.sendall(b"x" * 300)
        got = b""
        while len(got) < 300:
            got += client.recv(300)
        assert got == b"x" * 300
        assert len(echo.sizes) > 2  # hello, and not all of the rest in one


def test_a_unix_socket_is_reached_over_tcp(network: Network, migrated_database: str) -> None:
    """PostgreSQL of the tests listens on one only; as the user that it knows."""
    link, url = network.link_to_database("client - PostgreSQL", migrated_database)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
        assert link.connections == 1
