"""A client's connection: what is held back, and that it leaves in its order, whole and in time."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from select import select

import pytest

from orderapp.reception import HELD, _Client, _news

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


def test_the_head_of_an_answer_waits_for_its_body(pair: tuple[_Client, socket.socket]) -> None:
    """One system call and one packet for both."""
    client, theirs = pair
    client.sendall(b"head ")
    client.sendall(b"body")
    assert not select([theirs], [], [], 0)[0]
    client.flush()
    client.flush()
    assert theirs.recv(100) == b"head body"


def test_what_is_large_leaves_at_once(pair: tuple[_Client, socket.socket]) -> None:
    """An answer that is made bit by bit is not gathered in memory."""
    client, theirs = pair
    client.sendall(b"head ")
    client.sendall(bytes(HELD))
    assert read(theirs, 5) == b"head "
    assert read(theirs, HELD) == bytes(HELD)


def test_a_file_comes_behind_what_was_held(pair: tuple[_Client, socket.socket], tmp_path: Path) -> None:
    """A script of the panel, behind the head of its answer."""
    client, theirs = pair
    (tmp_path / "script.js").write_bytes(b"script")
    client.sendall(b"head ")
    with (tmp_path / "script.js").open("rb") as file:
        client.sendfile(file)
    assert read(theirs, 11) == b"head script"


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
