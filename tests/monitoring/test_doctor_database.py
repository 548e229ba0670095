"""``flask doctor`` and PostgreSQL: each fault is brought about on a real server."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskCliRunner

from config import psycopg2_url
from orderapp import create_app
from orderapp.monitoring import database_checks, queries
from tests.monitoring.patients import change, examine
from tests.servers.others import UNPOOLED
from tests.servers.waiting import wait_until
from tests.sql import holding, one, sql


@contextmanager
def changed(statement: str, back: str) -> Iterator[None]:
    """Change the database while the block runs."""
    sql(statement)
    try:
        yield
    finally:
        sql(back)


def test_a_database_at_another_migration_is_told_from_a_newer_one(runner: FlaskCliRunner) -> None:
    """An older one breaks this code; a newer one is the middle of an upgrade."""
    newest = queries.newest_migration()
    back = f"UPDATE alembic_version SET version_num = '{newest}'"
    with changed("UPDATE alembic_version SET version_num = '0001'", back):
        older = examine(runner, code=1)["migration"]
    with changed("UPDATE alembic_version SET version_num = '9999'", back):
        newer = examine(runner, code=1)["migration"]
    assert older == ("fault", f"at 0001, this code needs {newest}", "run: flask db upgrade")
    assert newer[:2] == ("warning", f"at 9999, newer than this code's {newest}")


def test_a_database_without_tables_is_one_finding_per_question(empty_database: str, app: Flask, runner: FlaskCliRunner) -> None:
    """The first thing somebody sees who forgot the migrations."""
    bare = create_app(replace(app.extensions["settings"], database_url=psycopg2_url(empty_database)))
    bare.test_cli_runner_class = type(runner)
    found = examine(bare.test_cli_runner(), code=1)
    assert found["migration"][0] == "fault"
    assert found["migration"][1].startswith("at none")
    # Without the migrations the role has no limits either.
    assert found["lock_timeout"][0] == "fault"
    assert found["statement_timeout"][0] == "warning"


@pytest.mark.parametrize(("skew", "state"), [(2, "warning"), (-60, "fault")])
def test_clocks_that_go_apart_are_noticed(runner: FlaskCliRunner, skew: int, state: str) -> None:
    """Workers judge by their own clock whether a rescue has expired."""
    with time_machine.travel(time.time() + skew, tick=True):
        said, words, _ = examine(runner, code=1)["clock"]
    assert said == state
    assert f"s {'behind' if skew > 0 else 'ahead of'} this machine's" in words


def role_limit(name: str, value: str) -> str:
    """Return what sets a limit of the role that runs the tests, in this database."""
    statement = f"format('ALTER ROLE %%I IN DATABASE %%I SET {name} = %%L', current_user, current_database(), '{value}')"
    return f"DO $$ BEGIN EXECUTE {statement}; END $$"


@UNPOOLED
def test_a_role_without_its_limits_is_told_the_statement(runner: FlaskCliRunner) -> None:
    """A lock waited for longer than a task may live kills workers; the remedy can be pasted."""
    with changed(role_limit("lock_timeout", "0"), role_limit("lock_timeout", "5s")):
        none = examine(runner, code=1)["lock_timeout"]
    with changed(role_limit("lock_timeout", "10s"), role_limit("lock_timeout", "5s")):
        late = examine(runner, code=1)["lock_timeout"]
    assert (none[0], late[0]) == ("fault", "fault")
    assert "tasks are killed after 10 s" in late[1]
    role, database = one("SELECT current_user, current_database()")
    assert none[2].startswith(f"run: ALTER ROLE {role} IN DATABASE {database} SET lock_timeout = '5s'")


@pytest.mark.skipif(not os.environ.get("TEST_PGBOUNCER"), reason="needs PgBouncer: make matrix")
def test_a_pooler_takes_the_pools_of_all_processes(app: Flask, runner: FlaskCliRunner) -> None:
    """What it opens itself is what counts then."""
    change(app, web_workers=60, web_threads=8)
    assert examine(runner, code=1)["connections"][0] == "ok"


@UNPOOLED
@pytest.mark.parametrize(
    ("workers", "state"), [pytest.param(60, "fault", id="more"), pytest.param(20, "warning", id="most"), (2, "ok")]
)
def test_pools_are_compared_with_what_the_server_allows(app: Flask, runner: FlaskCliRunner, workers: int, state: str) -> None:
    """Gunicorn alone may open more than there are: found before the first busy day."""
    change(app, web_workers=workers, web_threads=8)
    said, words, _ = examine(runner, code=1)["connections"]
    assert said == state
    assert f"gunicorn here may open {workers * 10}" in words


@UNPOOLED
def test_a_limit_of_the_role_counts_too(runner: FlaskCliRunner) -> None:
    """PostgreSQL's own limit may be far away."""
    limit = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I CONNECTION LIMIT {}', current_database()); END $$"
    with changed(limit.format(20), limit.format(-1)):
        assert examine(runner, code=1)["connections"][0] == "fault"


def test_a_hot_table_that_nobody_sweeps_is_a_fault(runner: FlaskCliRunner) -> None:
    """The outbox would grow by every message ever sent."""
    with changed("ALTER TABLE outbox SET (autovacuum_enabled = false)", "ALTER TABLE outbox RESET (autovacuum_enabled)"):
        found = examine(runner, code=1)["autovacuum"]
    assert found == ("fault", "switched off for outbox", "run: ALTER TABLE outbox RESET (autovacuum_enabled)")


def test_a_transaction_that_keeps_dead_rows_is_named_with_its_process(
    runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten psql is the usual reason for slow claims."""
    monkeypatch.setattr(database_checks, "LONG_TRANSACTION", 0)
    with holding("SELECT pg_current_xact_id()") as cursor:
        cursor.execute("DECLARE forgotten CURSOR FOR SELECT 1 FROM orders")  # an open cursor keeps its snapshot
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

        def ours() -> tuple[str, str] | None:
            state, words, remedy = examine(runner, code=1)["autovacuum"]
            return (state, remedy) if words.startswith(f"process {pid} holds a snapshot") else None

        # At a limit of 0 a worker of autovacuum that has just begun is one, too.
        state, remedy = wait_until(ours, 20, "the forgotten one to be the oldest")
    assert state == "warning"
    assert f"pg_terminate_backend({pid})" in remedy


@pytest.mark.parametrize(("free", "state"), [(0, "fault"), (2 * 1024**3, "warning"), (10 * 1024**3, "ok")])
def test_a_disk_that_fills_up_is_seen_where_it_can_be(
    runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    """PostgreSQL ends when its log cannot grow. The disk is played: a full one would end the tests' own server."""
    monkeypatch.setattr(database_checks, "_free", lambda _folder: free)
    found = examine(runner, code=1)["database disk"]
    if "cannot be seen" not in found[1]:  # a server of somebody else's, by TEST_DATABASE_URL
        assert found[0] == state
