"""A deadline that holds against a receiver which drips its answer byte by byte.

The timeouts of a socket are per read: each byte starts them anew. Here a thread, one for all exchanges of a process, shuts
the connection down when time is up.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from functools import cache
from time import monotonic
from types import TracebackType
from typing import Self

# Seconds between two looks at what is open: a thousandth of what a receiver is given, and cuts are repeated as often, for
# one may come a moment before the connection is known.
LOOK_EVERY = 0.1

_of_this_thread = threading.local()


class Deadline:
    """Ends the exchange inside its ``with`` block after so many seconds, by shutting down the socket that it uses."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
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
        _watchman(os.getpid()).watch_over(self)
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """Stop the clock."""
        del _of_this_thread.deadline
        _watchman(os.getpid()).forget(self)

    def watch(self, connected: socket.socket) -> None:
        """Know the socket to shut down."""
        self._socket = connected

    def cut_when_over(self) -> None:
        """Shut the connection down if time is up."""
        if self.left > 0:
            return
        self.is_over = True
        if self._socket is not None:
            # The plain shutdown also for TLS: an orderly farewell would need the receiver's help.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Watchman:
    """Looks at the open deadlines of this process now and then; sleeps while there is none."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._any = threading.Event()
        threading.Thread(target=self._look, name="webhook-deadlines", daemon=True).start()

    def watch_over(self, deadline: Deadline) -> None:
        self._open.add(deadline)
        if not self._any.is_set():
            self._any.set()

    def forget(self, deadline: Deadline) -> None:
        self._open.discard(deadline)

    def _look(self) -> None:
        while self._any.wait():
            time.sleep(LOOK_EVERY)
            self._any.clear()
            for deadline in self._open.copy():
                self._any.set()  # after the clear: what begins in between is either seen here or sets it itself
                deadline.cut_when_over()


@cache
def _watchman(_process: int) -> _Watchman:
    """Return this process's own: threads do not come through a fork."""
    return _Watchman()


def watch(connected: socket.socket | None) -> None:
    """Put a socket under the deadline of the thread that uses it, if there is one."""
    deadline: Deadline | None = getattr(_of_this_thread, "deadline", None)
    if deadline is not None and connected is not None:
        deadline.watch(connected)


def time_left(otherwise: float) -> float:
    """Return the seconds left to this thread, or ``otherwise`` where it has no deadline."""
    deadline: Deadline | None = getattr(_of_this_thread, "deadline", None)
    return otherwise if deadline is None else deadline.left
