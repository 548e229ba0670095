"""Clients that take their time: they hold up nobody else, and not for ever."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import requests

from orderapp.reception import FAREWELL, is_whole
from tests.journeys.world import World
from tests.security.conftest import SMALL
from tests.security.raw import ANSWER, connect
from tests.servers.processes import Process
from tests.servers.sockets import sockets
from tests.servers.waiting import wait_until

GET = b"GET /health/live/ HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /api/orders/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

# What each says, and then nothing more; none hangs up.
SLOW = {
    "nothing": b"",
    "half of a first line": b"GET /heal",
    "half of a head": GET + b"X-",
    "a head without its last line": GET,
    "half of a body": POST + b"Content-Length: 45\r\n\r\n" + b'{"items": [',
    "no body at all": POST + b"Content-Length: 45\r\n\r\n",
    "half of a body that is refused": POST + b"Content-Length: 99999\r\n\r\n{",
    "half of a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "chunks without an end": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a request and half of another": GET + b"\r\n" + GET,
    "a last request": GET + b"Connection: close\r\n\r\n",
    "a last request that is none": b"nonsense\r\n\r\n",
}

# Many times the threads of the server.
MANY = 40

# An answer of 1.4 MB that nobody needs a key for; so many do not fit into any buffer of the kernel.
LARGE = b"GET /api/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
ENOUGH = 12


def is_over(connection: socket.socket, seconds: float) -> bool:
    """Tell whether the server hangs up within this time."""
    connection.settimeout(seconds)
    with suppress(ConnectionResetError):
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
    return True


def test_others_are_answered_meanwhile(front: World) -> None:
    """Each kind, many times the number of threads; the order of somebody else goes through at once."""
    lamp = front.product()
    with ExitStack() as stack:
        for said in SLOW.values():
            for _ in range(MANY):
                stack.enter_context(connect(front.web.url)).sendall(said)
        began = time.monotonic()
        for _ in range(5):  # each on a connection of its own
            front.place({lamp: 1})
        # One client that does not hang up would hold up gunicorn's own loop for this long, and there are many.
        assert time.monotonic() - began < FAREWELL * MANY


@pytest.fixture(scope="module")
def impatient(alone: World) -> Iterator[Process]:
    """Give a server that waits a second for a request, and two for a client that takes no answer."""
    web = alone.processes.web("-c", "tests/security/impatient.py", **SMALL).wait_ready()
    yield web
    web.stop()


def test_who_does_not_come_to_an_end_is_left(impatient: Process, alone: World) -> None:
    """Nothing of what was begun is done."""
    before = alone.snapshot()
    with ExitStack() as stack:
        slow = {name: stack.enter_context(connect(impatient.url)) for name in SLOW}
        for name, connection in slow.items():
            connection.sendall(SLOW[name])
        assert [name for name, connection in slow.items() if not is_over(connection, ANSWER)] == []
    assert alone.snapshot() == before


@pytest.mark.proof
def test_who_says_a_letter_now_and_then_is_left_all_the_same(impatient: Process) -> None:
    """The whole request has its time, not each letter."""
    with connect(impatient.url) as connection:
        connection.sendall(GET)
        began = time.monotonic()
        with suppress(ConnectionError):
            while not is_over(connection, 0.2):
                connection.sendall(b"X")
                assert time.monotonic() - began < ANSWER


def test_a_head_without_end_is_refused(impatient: Process) -> None:
    """However fast it comes."""
    with connect(impatient.url) as connection:
        heard = b""
        with suppress(ConnectionError):
            connection.sendall(GET + b"X: " + b"y" * 100_000)
            heard = connection.recv(65536)
        assert heard[:12] in {b"", b"HTTP/1.1 431"}
        assert is_over(connection, ANSWER)


@pytest.mark.proof
def test_who_takes_no_answer_is_left(impatient: Process) -> None:
    """They hold their threads until then, which a proxy in front prevents; afterwards others are answered."""
    (worker,) = impatient.children
    before = sockets(worker)
    with ExitStack() as stack:
        for _ in range(2):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", int(impatient.url.rpartition(":")[2])))
            reader.sendall(LARGE * ENOUGH)
        wait_until(lambda: len(sockets(worker) - before) == 2, ANSWER, "both connections")
        wait_until(lambda: not sockets(worker) - before, ANSWER, "their end")
        assert requests.get(f"{impatient.url}/health/live/", timeout=ANSWER).status_code == 200


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# None: there is more to come; False: a thread may refuse it as it is.
REQUESTS = {
    b"": None,
    GET: None,
    GET + b"\r\n": True,
    b"\r\n\r\n": True,
    POST + b"Content-Length: 2\r\n\r\n{": None,
    POST + b"content-length:2\r\n\r\n{}": True,
    POST + b"X-Content-Length: 9\r\n\r\n": True,
    POST + b"Content-Length: 65536\r\n\r\n" + b"x" * 65535: None,
    POST + b"Content-Length: 65537\r\n\r\n": False,
    POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n": True,  # the body comes when a thread asks for it
    CHUNKED: None,
    CHUNKED + b"2\r\n{}\r\n": None,
    CHUNKED + b"2\r\n{}\r\n0\r\n\r\n": True,
    CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n": None,
    CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n\r\n": True,
    CHUNKED + b"2\r\n{}\r\n00;a=b\r\n\r\n": True,
    CHUNKED + b"0\r\n\r\n": True,
    CHUNKED + b"0\r\n\r\n" + GET: True,
    CHUNKED + b"x" * 60_000 + b"\r\n0\r\n\r\n": True,
    CHUNKED + b"x" * 65_536: None,
    CHUNKED + b"x" * 65_537: False,
}


@pytest.mark.parametrize(("said", "whole"), REQUESTS.items())
def test_a_thread_gets_what_is_whole(said: bytes, *, whole: bool | None) -> None:
    """Or what it refuses as it is."""
    assert is_whole(said) is whole
