"""The application on a database with our own time, and in it what takes the place of threads, sockets and clocks."""

import logging
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import psycopg2
from flask import Flask

import config
from orderapp import create_app, database, failpoints
from orderapp.database import db
from orderapp.orders import idempotency, processing
from orderapp.outbox import outlook, relaying
from orderapp.outbox.breaker import Breaker
from orderapp.reports import summarising
from orderapp.reports.days import ONE_DAY
from orderapp.webhooks import sending, target, tasks
from tests.servers.environment import NOBODY
from tests.servers.postgres import empty
from tests.servers.receiver import SECRET
from tests.simulation import clock, witness
from tests.simulation.boundaries import Boundaries
from tests.simulation.clock import Clock
from tests.simulation.couriers import Couriers

_END_STRANGERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

HOST = "127.0.0.1:9"
URL = f"http://{HOST}/built-in"


class Records(logging.Handler):
    """Keeps what the service logs as errors, with the exceptions that were met."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[tuple[str, BaseException | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        said: Any = record.msg
        event, fault = (said.get("event"), said.get("exc_info")) if isinstance(said, dict) else (said, record.exc_info)
        if fault and not isinstance(fault, BaseException):  # True, or what sys.exc_info() returned: it is being handled now
            fault = sys.exc_info()[1]
        self.errors.append((str(event), fault or None))


class Stage:
    """What all runs share: one application, one database, one clock."""

    def __init__(self, app: Flask, url: str) -> None:
        self.app = app
        self.celery = app.extensions["celery"]
        self._url = url
        self.clock = Clock()
        self.boundaries = Boundaries()
        self.folder = tempfile.mkdtemp(prefix="orderapp-stage-")
        self.couriers = Couriers()
        self._receiver: Any = None
        self.records = Records()
        with app.app_context():
            self.engine = db.engine
        self.lock_order = witness.LockOrder(self.engine)
        self.connect()

    def connect(self) -> None:
        """Look from outside, on a connection of its own."""
        self._outside = psycopg2.connect(self._url)
        self._outside.autocommit = True
        self.cursor = self.clock.cursor = self.boundaries.cursor = self._outside.cursor()

    def disconnect(self) -> None:
        """Have no connection, neither one's own nor the service's: a child would share them."""
        self._outside.close()
        with self.app.app_context():
            self.engine.dispose()

    def end_strangers(self) -> None:
        """Let the server notice that processes have died."""
        self.cursor.execute(_END_STRANGERS)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement from outside; returns its rows."""
        self.cursor.execute(statement, values)
        return list(self.cursor.fetchall()) if self.cursor.description else []

    def begin(self) -> None:
        """Let a run begin: nothing is there, nobody remembers anything."""
        empty(self.cursor)
        witness.forget(self.cursor)
        self.clock.begin()
        random.seed(0)  # spreads the retries of webhooks
        self.boundaries.forget()
        self.couriers.waiting.clear()
        self.records.errors.clear()
        self.lock_order.broken.clear()

    def receive(self, receiver: Any) -> None:
        """Have this receiver hear the webhooks from now on."""
        self._receiver = receiver

    def pool_to(self, url: str, _allowed_hosts: frozenset[str]) -> Any:
        """Return what the product sends webhooks by."""
        return SimpleNamespace(urlopen=partial(self._receiver.urlopen, url))

    def close(self) -> None:
        """Let go of the database."""
        self.disconnect()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def a_stage(url: str) -> Iterator[Stage]:
    """Give the stage on a freshly migrated database, which belongs to it from now on."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        clock.install(cursor)
        witness.install(cursor)
    connection.close()
    environment = {
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": NOBODY,
        "WEBHOOK_URL": URL,
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_ALLOWED_HOSTS": HOST,
    }
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with patch.dict(os.environ, environment):
        stage = Stage(create_app(config.load(env_file=Path("there-is-no.env"))), url)
    root.handlers[:] = [stage.records]
    root.setLevel(logging.ERROR)
    try:
        with _in_our_time(stage):
            yield stage
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        stage.close()


@contextmanager
def _in_our_time(stage: Stage) -> Iterator[None]:
    """Put clock, couriers and deadlines of one thread where the product has those of the machine."""
    time: Any = stage.clock
    no_deadline = nullcontext(SimpleNamespace(is_over=False))
    with ExitStack() as patches:
        for module in (database, processing, outlook, relaying, sending, summarising):
            patches.enter_context(patch.object(module, "time", time))
        for module, name, instead in (
            (relaying, "Breaker", partial(Breaker, time.monotonic)),
            (tasks, "couriers", lambda: stage.couriers),
            (target, "_pool_to", stage.pool_to),
            (target, "Deadline", lambda _seconds: no_deadline),
            (database, "OUTAGE_POLL", 1.0),  # who waits for a lock here waits in vain; three times are enough
            (idempotency, "PATIENCE", clock.LOCK_TIMEOUT / 1000),
            (summarising, "SLICE", ONE_DAY),  # one read of a day instead of 24
            (failpoints, "_armed", stage.boundaries),
        ):
            patches.enter_context(patch.object(module, name, instead))
        yield
