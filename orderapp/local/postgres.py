"""PostgreSQL from a wheel: on a Unix socket only, in a folder of ours, ending with whoever started it."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import psycopg2

from orderapp.local.cluster import NAME, PORT, Cluster, PostgresError, cluster_in, environment
from orderapp.local.orphan import POLL, STOPS, end_orphan
from orderapp.local.pdeathsig import ending_with_parent

# Seconds to answer after a start: 0.3 is usual, replaying what a killed server left can take far longer.
START_TIMEOUT = 120

# Lines of its log that say why it did not start.
LAST_LINES = 15

_SETTINGS = {"listen_addresses": "", "unix_socket_permissions": "0700", "timezone": "UTC", "log_timezone": "UTC"}


class EmbeddedPostgres:
    """One server for one folder. Start it from the main thread: the server ends when its starter does.

    ``settings`` go to the server as ``-c name=value``. Committed data is safe (fsync is on) unless they say otherwise.
    """

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """Touch nothing yet."""
        self.folder = folder.resolve()
        self.log = self.folder / "postgres.log"
        self.settings = {**_SETTINGS, **(settings or {})}
        self.cluster: Cluster | None = None
        self._owner: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> str:
        """Return the URL of a server that answers and has the database. Raises PostgresError.

        The first start creates the data. A server that outlived a killed owner is stopped in order first.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner = _owned(self.folder / "owner.lock")
        try:
            self.cluster = cluster_in(self.folder)
            end_orphan(self.cluster.data, self.folder / "server.lock")
            self.cluster.create()
            self._server = self._launched(self.cluster)
            self._await_answer(self.cluster)
        except BaseException:
            # Whoever called start sees it; nothing of ours stays behind.
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """End the server in order; it is killed only when it does not obey. Harmless when nothing runs."""
        if self._server is not None:
            for number, seconds in STOPS:
                self._server.send_signal(number)
                try:
                    self._server.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._server = None
            if self.cluster is not None:
                self.cluster.tidy()
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    @property
    def url(self) -> str:
        """Return the URL of the database. Only a started one has it."""
        if self.cluster is None:
            raise PostgresError("not started")
        return f"postgresql:///{NAME}?host={quote(str(self.cluster.socket))}&port={PORT}&user={NAME}"

    @property
    def exit_code(self) -> int | None:
        """Return what the server ended with by itself; None while it runs."""
        return self._server.poll() if self._server else None

    def last_lines(self, count: int = LAST_LINES) -> list[str]:
        """Return the end of the server's log."""
        return self.log.read_text(errors="replace").splitlines()[-count:] if self.log.exists() else []

    def _launched(self, cluster: Cluster) -> subprocess.Popen[bytes]:
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        server = cluster.command("postgres", "-k", str(cluster.socket), "-p", str(PORT), *settings)
        # All processes of the server inherit the lock: while one of them lives, no other server starts.
        with (self.folder / "server.lock").open("w") as lock, self.log.open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return subprocess.Popen(  # noqa: S603 - our own command
                [*cluster.who.prefix, *ending_with_parent(server, signal.SIGINT)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock.fileno(),),
                start_new_session=True,  # a Ctrl-C in the terminal is not for it
                env=environment(),
                cwd="/",
            )

    def _await_answer(self, cluster: Cluster) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            if self.exit_code is not None:
                raise PostgresError("PostgreSQL did not start:\n" + "\n".join(self.last_lines()))
            try:
                return _ensure_database(cluster)
            except psycopg2.OperationalError as error:
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL does not answer after {START_TIMEOUT} s: {error}") from error
            time.sleep(POLL)


def _owned(file: Path) -> IO[str]:
    """Return the file, locked for as long as it stays open, with our number in it."""
    owner = file.open("a+")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner.seek(0)
        holder = owner.read().strip()
        owner.close()
        raise PostgresError(f"{file.parent} is in use by process {holder}") from error
    owner.truncate(0)
    owner.write(str(os.getpid()))
    owner.flush()
    return owner


def _ensure_database(cluster: Cluster) -> None:
    connection = psycopg2.connect(host=str(cluster.socket), port=PORT, user=NAME, dbname="postgres")
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (NAME,))
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {NAME}")
