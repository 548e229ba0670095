"""Databases for tests: one server per run, one template migrated once, cheap copies of it."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy.engine import URL, make_url

import config
from tests.servers.others import OtherPostgres, Pooler

# What a power cut could lose is of no interest in a server that is deleted after the run.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}

# Bytes; deleting few rows takes 1 ms, truncating all tables 22, but what was deleted stays in the files and in the plans.
SMALL = 1_000_000

# Seconds; the migrations take 2 on an idle core.
MIGRATE = 120

FLASK = Path(sys.executable).with_name("flask")


class Databases:
    """The databases of one test run: on TEST_DATABASE_URL's server, or on one of our own in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Remember the folder; the first database starts the server."""
        self._folder = folder
        self._server: Any = None
        self._admin: URL | None = None
        self._template: URL | None = None
        self._pooler: Pooler | None = None
        self._made: list[URL] = []
        # Unique, so that two runs on one server do not meet, and nothing that exists is ever touched.
        self._prefix = f"orderapp_test_{secrets.token_hex(5)}"
        self._numbers = count(1)

    def migrated(self) -> str:
        """Return the URL of a new database with all tables, as the migrations make them."""
        if self._template is None:
            template = self._create("template0")
            migrate(_text(template))
            self._template = template
        url = self._create(str(self._template.database))
        self._copy_role_settings(self._template, url)
        return _text(self._pooled(url))

    def empty(self) -> str:
        """Return the URL of a new database without tables."""
        return _text(self._create("template0"))

    def stop(self) -> None:
        """Drop what was made on a foreign server; stop our own."""
        if self._pooler is not None:
            self._pooler.stop()
        if self._server is not None:
            self._server.stop()
        elif self._admin is not None:
            with administrate(_text(self._admin)) as cursor:
                for url in self._made:
                    cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(url.database))))

    def _create(self, template: str) -> URL:
        admin = self._administrator()
        url = admin.set(database=f"{self._prefix}_{next(self._numbers)}")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(str(url.database)), sql.Identifier(template)
        )
        with administrate(_text(admin)) as cursor:
            cursor.execute(statement)
        self._made.append(url)
        return url

    def _administrator(self) -> URL:
        if self._admin is None:
            foreign = os.environ.get("TEST_DATABASE_URL")
            if not foreign:
                self._server, foreign = start_server(self._folder)
            self._admin = make_url(config.psycopg2_url(foreign))
        return self._admin

    def _pooled(self, url: URL) -> URL:
        """Return the same database through PgBouncer where TEST_PGBOUNCER names it; migrations never go through it."""
        program = os.environ.get("TEST_PGBOUNCER")
        if not program:
            return url
        if self._pooler is None:
            self._pooler = Pooler(Path(program), self._folder.with_name("pgbouncer"), self._administrator())
        return self._pooler.url(url)

    def _copy_role_settings(self, template: URL, url: URL) -> None:
        # The migrations set timeouts by ALTER ROLE ... IN DATABASE; CREATE DATABASE does not copy those.
        with administrate(_text(template)) as cursor:
            cursor.execute(
                "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase"
                " WHERE datname = current_database() AND setrole = current_user::regrole"
            )
            for (setting,) in cursor.fetchall():
                name, _, value = setting.partition("=")
                statement = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}")
                cursor.execute(statement.format(sql.Identifier(str(url.database)), sql.Identifier(name), sql.Literal(value)))


def start_server(folder: Path) -> tuple[Any, str]:
    """Return a running PostgreSQL server of our own, and its URL. TEST_POSTGRES names the programs of another version."""
    if programs := os.environ.get("TEST_POSTGRES"):
        other = OtherPostgres(Path(programs), folder, SETTINGS)
        return other, other.start()
    from orderapp.local.postgres import EmbeddedPostgres  # noqa: PLC0415 - tests/house runs without the application

    server = EmbeddedPostgres(folder, settings=SETTINGS)
    return server, server.start()


def migrate(url: str, revision: str = "head") -> None:
    """Run ``flask db upgrade`` on a database, as an operator would."""
    # Nothing listens on port 9: a migration needs no broker.
    environment = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "amqp://127.0.0.1:9//"}
    done = subprocess.run(
        [FLASK, "db", "upgrade", revision],
        cwd=config.ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MIGRATE,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"flask db upgrade failed:\n{done.stdout}{done.stderr}")


@contextmanager
def administrate(url: str) -> Iterator[Any]:
    """Give a cursor outside of any transaction: databases are made and dropped there."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def clean(url: str) -> None:
    """Empty all tables as if freshly migrated: the anonymous client and the built-in endpoint stay, ids begin anew."""
    with administrate(url) as cursor:
        # A process that a test killed may still hold locks until the server notices.
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        empty(cursor)


def empty(cursor: Any) -> None:
    """Empty all tables of the cursor's database, in which nobody else is at work."""
    cursor.execute(
        "SELECT array_agg(format('%I', relname)), sum(pg_relation_size(oid)), current_setting('is_superuser')::bool"
        " FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname NOT IN ('alembic_version', 'api_clients')"
    )
    tables, size, superuser = cursor.fetchone()
    if superuser and size < SMALL:
        deletes = ";".join(f"DELETE FROM {table}" for table in tables)
        cursor.execute(f"BEGIN; SET LOCAL session_replication_role = replica; {deletes}; COMMIT")
    else:
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
    cursor.execute("DELETE FROM api_clients WHERE name <> 'anonymous'")
    cursor.execute("INSERT INTO webhook_endpoints (id, active_since) VALUES (1, 'epoch')")
    cursor.execute(
        "SELECT setval(seqrelid, seqstart, false) FROM pg_sequence"
        " WHERE seqrelid <> pg_get_serial_sequence('api_clients', 'id')::regclass"
    )


def _text(url: URL) -> str:
    """Return the URL as libpq and config.py both read it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
