"""Looking at the database from outside: plain SQL on a connection of its own, beside the application's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extras import NamedTupleCursor


def sql(statement: str, **values: Any) -> list[Any]:
    """Run one statement (``%(name)s`` binds) and commit it; returns its rows, if it gives any."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"], cursor_factory=NamedTupleCursor)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def one(statement: str, **values: Any) -> Any:
    """Return the only row; a row of one column as that value."""
    (row,) = sql(statement, **values)
    return row[0] if len(row) == 1 else row


@contextmanager
def holding(statement: str, **values: Any) -> Iterator[Any]:
    """Hold open a transaction that ran this statement, as another process would, and give its cursor; rolls back."""
    connection = psycopg2.connect(os.environ["DATABASE_URL"], cursor_factory=NamedTupleCursor)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            yield cursor
        connection.rollback()  # and not close() alone: the server notices that some time later, and holds the locks till then
    finally:
        connection.close()


def row_counts() -> dict[str, int]:
    """Return how many rows each table has."""
    tables = sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1")
    columns = ", ".join(f"(SELECT count(*) FROM {name}) AS {name}" for (name,) in tables)
    counts: dict[str, int] = one(f"SELECT {columns}")._asdict()
    return counts
