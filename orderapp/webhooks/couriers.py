"""Threads that wait for receivers, so that no task does: a receiver that takes 15 s holds up no other one's webhooks.

The claim was committed before a thread begins and its lease is the truth: if the process dies, the rescuer finds the
deliveries as it would after any other death. The task has acknowledged its message by then; it was only a wake-up.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from threading import BoundedSemaphore
from typing import Any

import structlog
from celery.signals import worker_process_shutdown
from flask import Flask

log = structlog.get_logger(__name__)

# Threads of one process. An endpoint has four runs at most, in all processes together: that many sick receivers may hang
# at once before healthy ones wait, and each only until its breaker opens.
MOST_THREADS = 32

# Seconds that a task waits for a free thread: below its time limit of 30 s, above the 15 s of the slowest POST.
PATIENCE = 20

Sending = Callable[[], int]


class Couriers:
    """The threads of one process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="webhooks")
        self._free = BoundedSemaphore(MOST_THREADS)

    def has_room(self, seconds: float = PATIENCE) -> bool:
        """Wait until a thread is free; returns whether one is."""
        free = self._free.acquire(timeout=seconds)
        if free:
            self._free.release()
        return free

    def start(self, app: Flask, sending: Sending) -> int:
        """Send in a thread, as soon as there is one; returns 0, for nobody knows yet."""
        self._free.acquire()
        # With the task's words for the log: the thread has none of its own.
        self._pool.submit(copy_context().run, self._send, app, sending)
        return 0

    def _send(self, app: Flask, sending: Sending) -> None:
        try:
            with app.app_context():
                sending()
        except Exception:
            # Whoever reads the log sees it; the lease lapses and the rescuer sends again.
            log.exception("webhook run failed")
        finally:
            self._free.release()

    def finish(self) -> None:
        """Return when everything that was begun is recorded."""
        self._pool.shutdown()


@cache
def _of_process(_process: int) -> Couriers:
    return Couriers()


def couriers() -> Couriers:
    """Return the threads of this process: those of a parent did not come through the fork."""
    return _of_process(os.getpid())


@worker_process_shutdown.connect
def _finish(**_signal: Any) -> None:
    """Let a worker that was asked to stop record what it has sent: else it would all be sent again."""
    couriers().finish()
