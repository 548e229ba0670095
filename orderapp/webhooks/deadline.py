"""A deadline that holds against a receiver which drips its answer byte by byte.

The timeouts of requests are per read: each byte starts them anew. Here a thread shuts the connection down when time is up.
"""

import socket
import threading
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Self

# Seconds between two cuts: one may come a moment before the connection is known, and the next then ends it.
CUT_AGAIN = 0.1

_of_this_thread = threading.local()


class Deadline:
    """Ends the exchange inside its ``with`` block after so many seconds, by shutting down the socket that it uses."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._left = threading.Event()
        self._socket: socket.socket | None = None
        self._end = 0.0
        self.is_over = False

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return self._end - monotonic()

    def __enter__(self) -> Self:
        """Start the clock."""
        _of_this_thread.deadline = self
        self._end = monotonic() + self._seconds
        threading.Thread(target=self._wait_and_cut, name="webhook-deadline", daemon=True).start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Stop the clock."""
        del _of_this_thread.deadline
        self._left.set()

    def _wait_and_cut(self) -> None:
        pause = self._seconds
        while not self._left.wait(pause):
            self.is_over, pause = True, CUT_AGAIN
            if self._socket is not None:
                # The plain shutdown also for TLS: an orderly farewell would need the receiver's help.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def watch(self, connected: socket.socket) -> None:
        """Know the socket to shut down."""
        self._socket = connected


def watch(connected: socket.socket | None) -> None:
    """Put a socket under the deadline of the thread that uses it, if there is one."""
    deadline: Deadline | None = getattr(_of_this_thread, "deadline", None)
    if deadline is not None and connected is not None:
        deadline.watch(connected)


def time_left(otherwise: float) -> float:
    """Return the seconds left to this thread, or ``otherwise`` where it has no deadline."""
    deadline: Deadline | None = getattr(_of_this_thread, "deadline", None)
    return otherwise if deadline is None else deadline.left
