"""Migrations of a version that does not exist yet, written as CONTRIBUTING.md asks: what today's code must work with."""

import shutil
from pathlib import Path

from alembic.script import ScriptDirectory

from config import ROOT

# Two kinds of column that a later version may add to any table: one that may be empty, one that has a default.
_COLUMNS = "op.execute('ALTER TABLE {table} ADD COLUMN of_tomorrow text, ADD COLUMN certain boolean NOT NULL DEFAULT false')"

_TABLE = "op.execute('CREATE TABLE notes_of_tomorrow (order_id bigint PRIMARY KEY REFERENCES orders, note text NOT NULL)')"

_INDEX = """with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_of_tomorrow")
        op.execute("CREATE INDEX CONCURRENTLY orders_of_tomorrow ON orders (of_tomorrow)")
        op.execute("SET lock_timeout = '3s'")"""

_FILE = '''"""A change of tomorrow."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    {change}
'''


def write_tomorrow(folder: Path, tables: list[str]) -> Path:
    """Write today's migrations and tomorrow's into the folder, one that changes each table; returns it."""
    shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = ScriptDirectory(str(folder)).get_current_head() or ""
    for change in [_TABLE, *(_COLUMNS.format(table=table) for table in tables), _INDEX]:
        revision = f"{int(before) + 1:04}"
        (folder / "versions" / f"{revision}_tomorrow.py").write_text(
            _FILE.format(revision=revision, before=before, change=change)
        )
        before = revision
    return folder
