"""Rows of the outbox: put there as an act does, and looked at from outside."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2.extras import Json

from orderapp.database import writing
from orderapp.outbox.messages import enqueue_many
from orderapp.queues import ORDERS_PROCESS
from tests.sql import one, sql


def put(*ids: int, task: str = ORDERS_PROCESS, after: float = 0) -> None:
    """Enqueue these ids, due ``after`` seconds from now."""
    put_many(ids, task=task, after=after)


def put_many(ids: Iterable[int], task: str = ORDERS_PROCESS, after: float = 0) -> None:
    """Enqueue many ids."""
    with writing():
        enqueue_many(task, list(ids), available_at=datetime.now(UTC) + timedelta(seconds=after) if after else None)


def put_raw(**columns: Any) -> int:
    """Write a row that no enqueue() of this version would write; returns its id."""
    values: dict[str, Any] = {"queue": "orders", "task": ORDERS_PROCESS, "subject_id": 1, "args": Json([]), "headers": Json({})}
    values |= columns
    names = ", ".join(values)
    binds = ", ".join(f"%({name})s" for name in values)
    return int(one(f"INSERT INTO outbox ({names}) VALUES ({binds}) RETURNING id", **values))


def left() -> int:
    """Return how many rows are in the outbox."""
    return int(one("SELECT count(*) FROM outbox"))


def parked() -> list[tuple[int | None, str]]:
    """Return subject and reason of each parked row."""
    return [tuple(row) for row in sql("SELECT subject_id, error FROM outbox WHERE parked_at IS NOT NULL ORDER BY id")]


def open_transactions() -> list[str]:
    """Return what the service's connections have open: a transaction that nobody ends holds locks and the vacuum."""
    statement = """SELECT query FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'orderapp' AND state LIKE 'idle in transaction%%'"""
    return [row.query for row in sql(statement)]
