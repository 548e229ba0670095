"""Migrations: one line of them, up and down on a database with rows in it, and the models say what they made."""

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask_migrate import downgrade, upgrade
from sqlalchemy.exc import OperationalError

from config import ROOT, Settings, psycopg2_url
from orderapp import create_app
from orderapp.database import db
from orderapp.orders.processing import process_orders
from orderapp.products.editing import create_product
from tests.orders.examples import TASK, ledger_is_right, placed, statuses
from tests.servers.postgres import migrate
from tests.servers.waiting import wait_until
from tests.sql import holding, one, sql
from tests.tomorrow import write_tomorrow

OURS = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i', 'S', 'v')"
TABLES = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
AND relname <> 'alembic_version' ORDER BY 1"""
LIMITS = """SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
WHERE datname = current_database()"""
# Of this database alone: other tests are at work on the same server.
LOCKS = """SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE datname = current_database() AND locktype = 'advisory'"""
ROWS = {
    "api_clients": 1,
    "products": 1,
    "orders": 2,
    "order_items": 2,
    "order_events": 3,
    "stock_movements": 2,
    "outbox": 2,
}


@pytest.fixture
def unmigrated(empty_database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give an application on an empty database, and the test its context; ``sql`` looks there, too."""
    monkeypatch.setenv("DATABASE_URL", empty_database)
    with create_app(replace(settings, database_url=psycopg2_url(empty_database))).app_context():
        yield empty_database
        db.engine.dispose()


def fill() -> None:
    """Have one order confirmed and one waiting."""
    lamp = create_product("Lamp", Decimal("2.50"), 5)
    process_orders([placed((lamp, 1))], TASK)
    placed((lamp, 2))


def rows() -> dict[str, int]:
    """Return how many rows the tables of the first migration have."""
    return {table: one(f"SELECT count(*) FROM {table}") for table in ROWS}


def test_there_is_one_head_and_one_way_to_it() -> None:
    """Two people's migrations would otherwise both be the newest."""
    script = ScriptDirectory(str(ROOT / "migrations"))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
    revisions = list(script.walk_revisions())
    assert [revision.revision for revision in revisions] == sorted((r.revision for r in revisions), reverse=True)


@pytest.mark.usefixtures("app")
def test_the_models_say_what_the_migrations_made() -> None:
    """`flask db migrate` has nothing to add: no table, column, type, index or unique constraint is missing on either side."""

    def is_ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return (kind, name) not in WITHOUT_A_MODEL

    with db.engine.connect() as connection:
        options = {"compare_type": True, "include_object": is_ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata) == []


# Counters of the limiter, on a connection of its own.
WITHOUT_A_MODEL = {("table", "rate_limits")}


@pytest.mark.usefixtures("unmigrated")
def test_every_step_up_and_down_keeps_the_rows_and_down_to_nothing_leaves_nothing() -> None:
    """An operator who goes back one version keeps his orders; who goes back to none gets a clean database."""
    before, limits = sql(OURS), sql(LIMITS)
    upgrade()
    fill()  # with all the migrations: the acts of today write to columns of the latest
    revisions = [one.revision for one in reversed(list(ScriptDirectory(str(ROOT / "migrations")).walk_revisions()))]
    for revision in [*reversed(revisions[:-1]), *revisions[1:], *reversed(revisions[:-1])]:
        (upgrade if revision > one("SELECT version_num FROM alembic_version") else downgrade)(revision=revision)
        assert rows() == ROWS
    downgrade(revision="base")
    assert sql("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
    assert sql("SELECT version_num FROM alembic_version") == []
    assert {row.relname for row in sql(OURS)} - {"alembic_version", "alembic_version_pkc"} == {row.relname for row in before}
    assert sql(LIMITS) == limits


@pytest.mark.usefixtures("unmigrated")
def test_after_down_and_up_the_service_works_as_on_the_first_day() -> None:
    """Nothing of the first life is in the way of the second."""
    upgrade()
    create_product("Lamp", Decimal(1), 1)
    downgrade(revision="base")
    upgrade()
    assert create_product("Lamp", Decimal(1), 1) == 1
    assert process_orders([placed((1, 1))], TASK) == 1
    assert statuses() == ["confirmed"]
    assert ledger_is_right()


@pytest.mark.usefixtures("unmigrated")
def test_migrating_leaves_no_setting_behind_in_the_pool() -> None:
    """A migration may wait longer than a request; the connection that did goes away."""
    upgrade()
    with db.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "5s"
        assert connection.exec_driver_sql(LOCKS).all() == []


@pytest.mark.skipif(not os.environ.get("TEST_PGBOUNCER"), reason="needs PgBouncer: make matrix")
def test_a_migration_through_a_pooler_is_refused(environment: dict[str, str]) -> None:
    """Its lock would stay in a session of the pool, and the next migration wait for ever."""
    with pytest.raises(RuntimeError, match="leads to a pooler"):
        migrate(environment["DATABASE_URL"])
    assert sql(LOCKS) == []


@pytest.mark.usefixtures("unmigrated")
def test_migrating_twice_changes_nothing() -> None:
    """Every container may do it at its start."""
    upgrade()
    create_product("Lamp", Decimal(1), 1)
    upgrade()
    assert one("SELECT count(*) FROM products") == 1


def test_two_migrations_at_once_run_one_after_the_other(unmigrated: str) -> None:
    """Two containers start together: the second waits for the first, which holds this lock, before it looks.

    Between its questions, and not inside one: it would hold a snapshot that the first may wait for.
    """
    waiting = "SELECT 1 FROM pg_stat_activity WHERE query = 'ROLLBACK' AND state = 'idle' AND datname = current_database()"
    with ThreadPoolExecutor() as pool:
        with holding("SELECT pg_advisory_lock(hashtext('orderapp migrations'))"):
            second = pool.submit(migrate, unmigrated)
            wait_until(lambda: sql(waiting), 60, "the second migration to wait")
            assert sql(OURS) == []
        second.result(60)
    assert one("SELECT count(*) FROM alembic_version") == 1


@pytest.mark.usefixtures("unmigrated")
def test_indexes_that_were_built_beforehand_as_documented_are_those_of_the_migration() -> None:
    """On a large database nobody waits for them then; the operator's own must be the same, or lists stay slow."""
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
    upgrade(revision="0008")
    for statement in re.findall("^CREATE INDEX .*;$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE):
        sql(statement)
    built = sql(indexes)
    upgrade(revision="0009")
    assert sql(indexes) == built
    downgrade(revision="0008")
    upgrade(revision="0009")
    assert sql(indexes) == built


@pytest.mark.usefixtures("unmigrated")
def test_code_of_today_works_on_the_tables_of_tomorrow(tmp_path: Path) -> None:
    """In an upgrade the tables come first: until the last old process is gone, old code works on new tables."""
    upgrade()
    tables = [row.relname for row in sql(TABLES)]
    upgrade(directory=str(write_tomorrow(tmp_path / "migrations", tables)))

    newest = one("SELECT version_num FROM alembic_version")
    said = current_app.test_client().get("/health/ready/")
    assert (said.status_code, said.get_json()["migration"]) == (200, newest)
    fill()
    assert statuses() == ["confirmed", "pending"]
    assert sorted(row.relname for row in sql(TABLES)) == sorted([*tables, "notes_of_tomorrow"])
    assert sql("SELECT 1 FROM pg_index WHERE indexrelid = 'orders_of_tomorrow'::regclass AND indisvalid")


@pytest.mark.usefixtures("unmigrated")
def test_a_migration_gives_up_before_the_requests_that_wait_behind_it(tmp_path: Path) -> None:
    """Behind a long transaction it would otherwise stop the service; nothing has changed, and it can be run again."""
    upgrade()
    tomorrow = str(write_tomorrow(tmp_path / "migrations", ["orders", "products"]))
    with holding("SELECT count(*) FROM products"):
        began = time.monotonic()
        with pytest.raises(OperationalError, match="lock timeout"):
            upgrade(directory=tomorrow)
        assert time.monotonic() - began < 5  # the lock_timeout of a request
        sql("INSERT INTO products (name, price) VALUES ('Lamp', 1)")
    upgrade(directory=tomorrow)


@pytest.mark.usefixtures("unmigrated")
def test_the_limits_of_the_role_hold_in_this_database_only() -> None:
    """A setting of the whole role would follow it into somebody else's database."""
    upgrade()
    assert sorted(row[0] for row in sql(LIMITS)) == [
        "idle_in_transaction_session_timeout=30s",
        "lock_timeout=5s",
        "statement_timeout=30s",
    ]
    assert sql("SELECT 1 FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole = current_user::regrole") == []
