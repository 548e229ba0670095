"""The servers and processes of one benchmark: durable PostgreSQL, RabbitMQ, whatever a case starts. All of it scratch."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import psycopg2
import psycopg2.extras
import requests

import config
from orderapp.local.postgres import EmbeddedPostgres
from tests.servers.environment import NOBODY
from tests.servers.postgres import Databases
from tests.servers.processes import Process, Processes
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import free_port, wait_until

# What everybody gets, us, peers and limits alike. fsync, full_page_writes and synchronous_commit stay on, as by default; the
# rest keeps a checkpoint from falling into one contestant's seconds and not into the other's.
SETTINGS = {"max_connections": "300", "shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}

DURABLE = ("server_version", "fsync", "full_page_writes", "synchronous_commit")

PEERS = config.ROOT / "bench" / ".venv" / "bin"
LIMITS = config.ROOT / "bench" / "limits"

# Seconds that a peer may take to start on a busy machine.
READY = 60


class Stage:
    """Starts what a case asks for and ends all of it by its process id when the ``with`` block is left."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="orderapp-bench-"))
        self._ends = ExitStack()
        self._ends.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._databases: Databases | None = None
        self._node: RabbitNode | None = None
        self._scene = ExitStack()
        self._families: list[Processes] = []
        self._vhosts = 0

    def __enter__(self) -> Self:
        """Start nothing yet: a case may need no broker."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End everything."""
        self.clear()
        self._ends.close()

    def clear(self) -> None:
        """End the processes of a case; the servers stay for the next one."""
        for family in reversed(self._families):
            family.end()
        self._families = []
        self._scene.close()

    def defer(self, function: Any, *arguments: Any) -> None:
        """Call this when the case is over."""
        self._scene.callback(function, *arguments)

    def database(self) -> str:
        """Return the URL of a new database with the service's tables."""
        return self._server().migrated()

    def empty_database(self) -> str:
        """Return the URL of a new database without tables."""
        return self._server().empty()

    def vhost(self) -> str:
        """Return the URL of a new virtual host of our RabbitMQ node."""
        if self._node is None:
            self._node = RabbitNode(self.folder / "rabbitmq")
            self._ends.callback(self._node.destroy)
            self._node.start()
        self._vhosts += 1
        return self._node.create_vhost(f"bench{self._vhosts}")

    def ours(self, database: str, broker: str = NOBODY, **environment: str) -> Processes:
        """Return what starts the service's own processes, as an operator does."""
        named = {"DATABASE_URL": database, "CELERY_BROKER_URL": broker, "LOG_FORMAT": "json", "PYTHONWARNINGS": "ignore"}
        return self._family(named | environment)

    def peer(self, name: str, *argv: str, environment: Mapping[str, str], serves: bool = False, says: str = "") -> Process:
        """Start a program of the peers' own virtual environment, and wait until it serves HTTP or says that it is ready."""
        port = str(free_port())
        words = [str(PEERS / argv[0]), *(word.replace("PORT", port) for word in argv[1:])]
        path = {"PYTHONPATH": str(config.ROOT), "PYTHONWARNINGS": "ignore"}
        process = self._family({**path, **environment}).start(name, *words)
        process.url = f"http://127.0.0.1:{port}"
        process._ready = lambda: answers(process.url) if serves else says in process.text  # noqa: SLF001 - as Processes does
        return process if not serves and not says else process.wait_ready(READY)

    def await_end(self, process: Process, seconds: float = READY) -> str:
        """Return what a program printed that ends by itself. Raises RuntimeError when it fails."""
        wait_until(lambda: process.exit_code is not None, seconds, f"the end of {process.name}")
        if process.exit_code:
            raise RuntimeError(f"{process.name} ended with {process.exit_code}:\n{process.text[-2000:]}")
        return process.text

    def durability(self) -> dict[str, str]:
        """Return what the server says of the settings that a power cut would ask for."""
        self._server()
        return {name: sql(os.environ["TEST_DATABASE_URL"], f"SHOW {name}")[0][0] for name in DURABLE}

    def _family(self, environment: Mapping[str, str]) -> Processes:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        self._families.append(Processes(environment, folder))
        return self._families[-1]

    def _server(self) -> Databases:
        if self._databases is None:
            server = EmbeddedPostgres(self.folder / "postgres", settings=SETTINGS)
            self._ends.callback(server.stop)
            # The harness of the tests makes databases on the server that this names; its own has fsync off.
            os.environ["TEST_DATABASE_URL"] = server.start()
            self._databases = Databases(self.folder / "none")
            self._ends.callback(self._databases.stop)
        return self._databases


def answers(url: str) -> bool:
    """Tell whether anything is served there, be it a 404."""
    try:
        requests.get(url, timeout=2)
    except requests.RequestException:
        return False
    return True


def connect(database: str) -> Any:
    """Return an autocommitting connection whose statements have no time limit."""
    connection = psycopg2.connect(database, options="-c statement_timeout=0 -c lock_timeout=0")
    connection.autocommit = True
    return connection


def sql(database: str, statement: str, values: Sequence[Any] | None = None) -> Any:
    """Run one statement; return its rows, if it has any."""
    connection = connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def await_row(database: str, statement: str, seconds: float) -> None:
    """Return when the statement's first value is true; polls on one connection."""
    connection = connect(database)

    def is_so() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return bool(cursor.fetchone()[0])

    try:
        wait_until(is_so, seconds, statement)
    finally:
        connection.close()


def program(name: str) -> str:
    """Return the path of a program in the service's own virtual environment."""
    return str(Path(sys.executable).with_name(name))
