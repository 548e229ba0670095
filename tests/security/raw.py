"""HTTP by hand: bytes as they are, and what a server makes of them."""

import re
import socket
from contextlib import suppress

# Seconds for an answer on a busy machine.
ANSWER = 20

STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.MULTILINE)


def connect(url: str) -> socket.socket:
    """Return a connection to the server at this URL."""
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=ANSWER)


def spoken(url: str, said: bytes) -> list[int]:
    """Say this and no more; returns the statuses of all that is answered until the server hangs up."""
    with connect(url) as connection:
        with suppress(OSError):  # a server that has hung up by now: reset, or not connected any more
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
        heard = b""
        with suppress(ConnectionResetError):
            while received := connection.recv(65536):
                heard += received
    return [int(status) for status in STATUS.findall(heard)]
