"""What a migration may do while the service is at work."""

from pathlib import Path

import pytest

from tests.tomorrow import write_tomorrow

from .migrations import migration_breaches
from .tree import Tree, assert_found, assert_none, plant, read_tree, the_house

FILE = "migrations/versions/0010_next.py"

INDEX = """with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_new")
        op.execute("CREATE INDEX CONCURRENTLY orders_new ON orders (status)")"""


def planted(root: Path, *statements: str, path: str = FILE) -> Tree:
    """Return a tree with one migration that runs these statements."""
    runs = "\n    ".join(one if one.startswith("with") else f"op.execute({one!r})" for one in statements)
    return plant(
        root, {path: f'"""Next."""\n\n\ndef upgrade():\n    {runs}\n\n\ndef downgrade():\n    op.execute("DROP TABLE t")\n'}
    )


def test_no_migration_stops_the_service() -> None:
    """It runs first, and old and new processes work on its tables until the last old one is gone."""
    assert_none(migration_breaches(the_house()))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX orders_new ON orders (status)",
        "CREATE INDEX CONCURRENTLY orders_new ON orders (status)",
        "ALTER TABLE orders ADD COLUMN note text NOT NULL",
        "ALTER TABLE orders ADD COLUMN fine text, ADD COLUMN note text NOT NULL",
        "ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT clock_timestamp()",
        "ALTER TABLE orders ALTER COLUMN currency TYPE varchar(3)",
        "ALTER TABLE orders ALTER COLUMN reference SET NOT NULL",
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (attempts < 9)",
        "ALTER TABLE orders DROP COLUMN rescues",
        "ALTER TABLE orders RENAME COLUMN rescues TO saved",
        "DROP TABLE daily_sales",
        "UPDATE orders SET currency = 'EUR'",
        "CREATE TABLE t (id int); -- a comment; no statement\nDELETE FROM orders",
    ],
)
def test_what_locks_for_long_or_breaks_the_version_before_is_found(tmp_path: Path, statement: str) -> None:
    """Each of these was somebody's outage."""
    assert_found(migration_breaches(planted(tmp_path, statement)), FILE)


def test_two_tables_locked_together_are_found(tmp_path: Path) -> None:
    """Orders are locked before products here, and a migration may have it the other way round."""
    both = planted(tmp_path, "ALTER TABLE products ADD COLUMN a text", "ALTER TABLE orders ADD COLUMN a text")
    assert_found(migration_breaches(both), FILE)


@pytest.mark.parametrize(
    "statement",
    [
        INDEX,
        "ALTER TABLE orders ADD COLUMN note text, ADD COLUMN sure boolean NOT NULL DEFAULT false",
        "ALTER TABLE orders ADD CONSTRAINT c CHECK (attempts < 9) NOT VALID",
        "ALTER TABLE orders VALIDATE CONSTRAINT c",
        "CREATE TABLE t (id int NOT NULL); CREATE INDEX i ON t (id); ALTER TABLE t ADD UNIQUE (id); INSERT INTO t VALUES (1)",
        "DROP TABLE daily_sales -- allowed: nobody has used it since 0.2",
    ],
)
def test_what_is_over_in_a_moment_is_no_breach(tmp_path: Path, statement: str) -> None:
    """Adding, and whatever is done to a table that nobody has seen yet."""
    assert_none(migration_breaches(planted(tmp_path, statement)))


def test_the_example_keeps_its_own_rule(tmp_path: Path) -> None:
    """What CONTRIBUTING.md points at, and what the tests of an upgrade run."""
    write_tomorrow(tmp_path / "migrations", ["orders", "products"])
    assert_none(migration_breaches(read_tree(tmp_path)))


def test_applied_migrations_are_left_in_peace(tmp_path: Path) -> None:
    """They are never edited again."""
    assert_none(migration_breaches(planted(tmp_path, "DROP TABLE orders", path="migrations/versions/0009_last.py")))
