"""What the tests of the embedded PostgreSQL share."""

import hashlib
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

# Data that a crash of the machine may take.
FAST = {"fsync": "off"}


def elsewhere_name(folder: Path) -> str:
    """Return the name of the folder that a server uses when its own does not do."""
    return f"orderapp-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]}"


def ask(url: str, *statements: str) -> list[Any]:
    """Run statements; the rows of the last."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def write_a_row(url: str) -> None:
    """Leave something that a later start must find."""
    ask(url, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (7)")
