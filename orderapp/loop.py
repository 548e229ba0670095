"""The shape of every long-running service: ``run`` repeats ``run_once``, tests call only the latter."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


class StopSignal:
    """Set by SIGTERM or SIGINT; the loop finishes what it has in hand and ends."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def install(self) -> None:
        """Listen for the two signals that ask a process to end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._received)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()

    def set(self) -> None:
        """Ask the loop to end."""
        self._event.set()

    def is_set(self) -> bool:
        """Tell whether the loop was asked to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until asked to end; returns whether asked."""
        return self._event.wait(seconds)


def run(run_once: Callable[[], float], stop: StopSignal) -> None:
    """Call ``run_once`` until asked to stop; it returns the seconds to wait before the next call."""
    while not stop.is_set():
        pause = run_once()
        if pause > 0:
            stop.wait(pause)
