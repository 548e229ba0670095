"""Damage, as a fault of the software or a hand in the database does it."""

import os
from collections.abc import Callable

import psycopg2
import pytest

Plant = Callable[[str], None]


@pytest.fixture
def plant() -> Plant:
    """Return what runs SQL as a fault of the software or a hand in the database would: no trigger or foreign key objects."""

    def run(statement: str) -> None:
        connection = psycopg2.connect(os.environ["DATABASE_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
                cursor.execute(statement)
                assert cursor.rowcount, f"changed nothing: {statement}"
        finally:
            connection.close()

    return run
