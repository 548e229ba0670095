"""PostgreSQL of another version than the wheel's, and PgBouncer: from programs that a variable names."""

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg2
import pytest
from sqlalchemy.engine import URL

import config
from tests.servers import children
from tests.servers.waiting import free_port, wait_until

# Seconds; a start takes one on an idle core.
START, STOP = 60, 20

NAME = "orderapp"

POOLER = config.ROOT / "deploy" / "pgbouncer" / "pgbouncer.ini"

# What a pooler of tests stands before and where it is reached; whoever has the port may come in. One section: a second
# [pgbouncer] would set whatever the first one says back to its default, without a word.
OWN = """
[databases]
* = host={host} port=5432 user={user}
{settings}
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
"""


# For a test of what holds for connections to PostgreSQL itself: PgBouncer's own are few, of one user, and go on as they began.
UNPOOLED = pytest.mark.skipif(bool(os.environ.get("TEST_PGBOUNCER")), reason="of connections without PgBouncer")


class OtherPostgres:
    """A server made by the initdb and postgres of a folder; like the wheel's it starts, stops and starts again."""

    def __init__(self, programs: Path, folder: Path, settings: dict[str, str]) -> None:
        """Touch nothing yet."""
        self._programs = programs
        self._folder = folder
        self._settings = settings
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL of the database, on a Unix socket."""
        return f"postgresql:///{NAME}?host={quote(str(self._folder))}&port=5432&user={NAME}"

    def start(self) -> str:
        """Return the URL of a server that answers."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = self._folder / "data"
        if not data.exists():
            argv = [self._programs / "initdb", "-D", data, "-U", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
            subprocess.run(argv, check=True, capture_output=True, text=True)
        settings = {"listen_addresses": "", "timezone": "UTC", **self._settings}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        output = self._folder / "postgres.output"
        argv = [self._programs / "postgres", "-D", data, "-k", self._folder, *options]
        server = self._server = children.spawn(argv, os.environ, output)
        wait_until(lambda: self._answers() or server.poll() is not None, START, "PostgreSQL's start")
        assert server.poll() is None, children.tail(output)
        return self.url

    def stop(self) -> None:
        """Stop it, whoever is connected; its data stays. Harmless when nothing runs."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGINT)
            wait_until(lambda: server.poll() is not None, STOP, "PostgreSQL's stop")
        if server is not None:
            children.end_family(server)

    def _answers(self) -> bool:
        try:
            connection = psycopg2.connect(host=str(self._folder), port=5432, user=NAME, dbname="postgres")
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,))
                if cursor.fetchone() is None:
                    cursor.execute(f"CREATE DATABASE {NAME}")
        finally:
            connection.close()
        return True


class Pooler:
    """PgBouncer with the settings of deploy/pgbouncer, before one server."""

    def __init__(self, program: Path, folder: Path, server: URL) -> None:
        """Start it. The folder holds its settings and what it says."""
        folder.mkdir(mode=0o700, parents=True)
        self._port = free_port()
        where = {"host": server.query["host"], "user": server.query["user"], "port": self._port}
        settings, output = folder / "pgbouncer.ini", folder / "pgbouncer.output"
        settings.write_text(OWN.format(settings=POOLER.read_text(), **where))
        process = self._process = children.spawn([program, settings], os.environ, output)
        wait_until(lambda: "listening on" in children.tail(output) or process.poll() is not None, START, "PgBouncer's start")
        assert process.poll() is None, children.tail(output)

    def url(self, server: URL) -> URL:
        """Return where a database of the server is reached through the pooler."""
        return server.set(host="127.0.0.1", port=self._port, username=NAME, query={})

    def stop(self) -> None:
        """End it."""
        children.end_family(self._process)
