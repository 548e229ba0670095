"""Waiting for a condition with a deadline: what a test does instead of sleeping and hoping."""

import fcntl
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

T = TypeVar("T")

# Seconds between two looks: well below what a person notices, and a hundred looks cost a test no measurable processor time.
POLL = 0.02

# Linux gives outgoing connections ports from 32768 up. A server's port must not be among them: while the server is down,
# a client that tries again and again can be given that very port, and even connect to itself.
FIRST_PORT, LAST_PORT = 20_000, 32_000

_given: set[int] = set()


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Return the first true value of ``condition``. Raises AssertionError, naming ``what``, when ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(POLL)


def a_place() -> str:
    """Return host:port where nobody listens."""
    return f"127.0.0.1:{free_port()}"


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens, and that no test of any run is given while this process lives.

    A server's port is its own also while the server is down: another one that took it kept a node from coming back. The
    kernel keeps the book, a lock on one byte per port, and closes it with the process.
    """
    while True:
        port = random.randint(FIRST_PORT, LAST_PORT)
        if port in _given:  # a process never waits for its own locks
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                fcntl.lockf(_book(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def listens(port: int) -> bool:
    """Tell whether somebody takes connections at this port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@cache
def _book() -> BinaryIO:
    return (Path(tempfile.gettempdir()) / f"orderapp-test-ports-{os.getuid()}").open("ab")
