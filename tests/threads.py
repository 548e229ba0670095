"""Several workers at once: threads that start together, and threads that go on beside a test."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from flask import Flask

T = TypeVar("T")

# Seconds; a deadlock shows as a failed test, not as a hanging one.
LONGEST = 30


def at_once(app: Flask, *calls: Callable[[], T]) -> list[T]:
    """Return what the calls return, all started at the same moment. Raises what the first of them raised.

    Each has an application context, and so a session, of its own.
    """
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        with app.app_context():
            barrier.wait(LONGEST)
            return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(LONGEST) for future in [pool.submit(run, call) for call in calls]]


class Crowd:
    """Threads that do their jobs while the block runs; each looks at ``_over`` and ends when it is set."""

    def __init__(self, *jobs: Callable[[], object]) -> None:
        """Start nothing yet."""
        self._over = threading.Event()
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End when each has finished what it was about."""
        self._over.set()
        for thread in self._threads:
            thread.join()
