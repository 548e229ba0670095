"""A client's connection: what is held back, and that it leaves in its order, whole and in time."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from select import select

import pytest
import requests

from orderapp.reception import _Client, _news
from tests.clients import REQUIRED, a_key, bearer
from tests.servers.processes import Processes
from tests.sql import holding, one

# Seconds for what comes at once.
PATIENCE = 20


@pytest.fixture
def pair() -> Iterator[tuple[_Client, socket.socket]]:
    """Return a client's connection as gunicorn hands it over, and its other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(PATIENCE)
    with _Client(ours) as client, theirs:
        yield client, theirs


def read(theirs: socket.socket, size: int) -> bytes:
    """Return so many bytes, or fewer when none come any more."""
    received = b""
    while len(received) < size and (more := theirs.recv(size - len(received))):
        received += more
    return received


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


def test_the_head_of_an_answer_waits_for_its_body(pair: tuple[_Client, socket.socket]) -> None:
    """One system call and one packet for both; what follows waits for nothing."""
    client, theirs = pair
    client.sendall(HEAD)
    assert not select([theirs], [], [], 0)[0]
    client.sendall(b"body")
    assert theirs.recv(100) == HEAD + b"body"
    client.sendall(b"more")
    assert theirs.recv(100) == b"more"


def test_a_head_alone_leaves_at_the_end(pair: tuple[_Client, socket.socket]) -> None:
    """As HEAD asks for it; once."""
    client, theirs = pair
    client.sendall(HEAD)
    client.flush()
    client.flush()
    assert theirs.recv(100) == HEAD
    assert not select([theirs], [], [], 0)[0]


@pytest.mark.parametrize("head", [b"HTTP/1.1 204 NO CONTENT\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_a_head_that_announces_no_length_leaves_at_once(pair: tuple[_Client, socket.socket], head: bytes) -> None:
    """Nothing follows, or nobody knows when."""
    client, theirs = pair
    client.sendall(head)
    assert theirs.recv(100) == head


def test_a_file_comes_behind_what_was_held(pair: tuple[_Client, socket.socket], tmp_path: Path) -> None:
    """A script of the panel, behind the head of its answer."""
    client, theirs = pair
    (tmp_path / "script.js").write_bytes(b"script")
    client.sendall(HEAD)
    with (tmp_path / "script.js").open("rb") as file:
        client.sendfile(file)
    assert read(theirs, len(HEAD) + 6) == HEAD + b"script"


def test_a_thread_waits_for_a_client_that_reads_slowly(pair: tuple[_Client, socket.socket]) -> None:
    """The loop of gunicorn had made the socket one that does not wait, and asks for it again at each request."""
    client, theirs = pair
    client.setblocking(False)
    size = 8 * 1024 * 1024
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.sendall, bytes(size))
        try:
            assert len(read(theirs, size)) == size
            sent.result(PATIENCE)
        finally:
            theirs.close()


def test_the_loop_waits_for_nobody(pair: tuple[_Client, socket.socket]) -> None:
    """Nothing has come, something has, and no more will."""
    client, theirs = pair
    assert _news(client) is None
    theirs.sendall(b"GET")
    assert _news(client) == b"GET"
    theirs.close()
    assert _news(client) == b""


@pytest.mark.usefixtures("app")
def test_an_answer_does_not_wait_for_what_is_noted_after_it(processes: Processes) -> None:
    """The use of a key, here behind a lock that an index is being built under: the client has its order by then."""
    product, headers = one("INSERT INTO products (name, price) VALUES ('Lamp', 2.5) RETURNING id"), bearer(a_key())
    web = processes.web(**REQUIRED).wait_ready()
    order = {"items": [{"product_id": product, "quantity": 1}]}
    with holding("LOCK TABLE api_keys IN SHARE MODE"):
        # Less than the 5 s after which the note gives up.
        assert requests.post(f"{web.url}/api/orders/", json=order, headers=headers, timeout=4).status_code == 201
