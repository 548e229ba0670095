"""Several workers at once: threads that start together, each with an application context, and so a session, of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flask import Flask

T = TypeVar("T")

# Seconds; a deadlock shows as a failed test, not as a hanging one.
LONGEST = 30


def at_once(app: Flask, *calls: Callable[[], T]) -> list[T]:
    """Return what the calls return, all started at the same moment. Raises what the first of them raised."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        with app.app_context():
            barrier.wait(LONGEST)
            return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(LONGEST) for future in [pool.submit(run, call) for call in calls]]
