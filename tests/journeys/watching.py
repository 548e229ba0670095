"""Celery's events as Flower sees them: which task was received and which succeeded."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery

from tests.servers.waiting import wait_until


class Watcher:
    """Collects the task events of one broker."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.events: list[dict[str, Any]] = []
        self.ready = threading.Event()

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event."""
        self.events.append(event)

    def count(self, kind: str, task: str) -> int:
        """Return how many events of this kind there were for this task; only task-received carries the name."""
        names = {event["uuid"]: event["name"] for event in self.events if event["type"] == "task-received"}
        return Counter(names.get(event.get("uuid")) for event in list(self.events) if event["type"] == kind)[task]

    def wait_for(self, kind: str, task: str, count: int, seconds: float = 30) -> None:
        """Return when there were so many."""
        wait_until(lambda: self.count(kind, task) >= count, seconds, f"{count} {kind} of {task}")


@contextmanager
def watching(url: str) -> Iterator[Watcher]:
    """Watch the events of the workers on this broker until the block ends."""
    watcher, over = Watcher(), threading.Event()
    celery = Celery("watcher", broker=url, set_as_current=False)
    thread = threading.Thread(target=_watch, args=(celery, watcher, over), daemon=True)
    thread.start()
    assert watcher.ready.wait(30), "no connection for Celery's events"
    try:
        yield watcher
    finally:
        over.set()
        thread.join()


def _watch(celery: Celery, watcher: Watcher, over: threading.Event) -> None:
    with celery.connection_for_read() as connection:
        receiver = celery.events.Receiver(connection, handlers={"*": watcher})
        with receiver.consumer_context() as (own_connection, _channel, _consumers):
            watcher.ready.set()
            while not over.is_set():
                try:
                    own_connection.drain_events(timeout=0.1)
                except TimeoutError:
                    continue
