"""The shape of every long-running service: ``run`` repeats ``run_once``, tests call only the latter."""

import select
import signal
import socket
from collections.abc import Callable
from types import FrameType


class StopSignal:
    """Set by SIGTERM or SIGINT; the loop finishes what it has in hand and ends.

    A socket pair and not threading.Event: a signal that arrives while this thread is inside Event.wait() would make its
    handler wait for a lock that the same thread holds, for ever.
    """

    def __init__(self) -> None:
        self._asked = False
        self._ear, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)

    def install(self) -> None:
        """Listen for the two signals that ask a process to end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.set()

    def set(self) -> None:
        """Ask the loop to end."""
        if not self._asked:
            self._asked = True
            self._mouth.send(b".")  # never read: every wait from now on ends at once

    def is_set(self) -> bool:
        """Tell whether the loop was asked to end."""
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until asked to end; returns whether asked."""
        select.select([self._ear], [], [], seconds)
        return self._asked


def run(run_once: Callable[[], float], stop: StopSignal, beat: Callable[[], None] = lambda: None) -> None:
    """Call ``run_once`` until asked to stop; it returns the seconds to wait before the next call. ``beat`` hears of each."""
    while not stop.is_set():
        beat()
        pause = run_once()
        if pause > 0:
            stop.wait(pause)
