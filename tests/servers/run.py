"""The servers of one test run, started when the first test asks and shared by all workers of pytest-xdist.

The controller owns them; a worker asks it over a Unix socket for a database or a virtual host of its own.
"""

import fcntl
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.servers import debian
from tests.servers.postgres import Databases
from tests.servers.vhosts import VirtualHosts, virtual_hosts

# The folder of a run, and the file in it that the run keeps locked while it lives.
PREFIX, ALIVE = "orderapp-test-", "alive"


class Servers(Protocol):
    """What a test can ask for, wherever the servers are."""

    def migrated_database(self) -> str:
        """Return the URL of a new database with all tables."""

    def empty_database(self) -> str:
        """Return the URL of a new database without tables."""

    def virtual_host(self) -> str:
        """Return the URL of a new virtual host."""

    def drop_virtual_host(self, url: str) -> None:
        """Delete a virtual host that ``virtual_host`` returned, with all that is in it."""

    def rabbitmq_fault(self) -> str:
        """Return why no RabbitMQ node can be started here; empty when one can."""


class OwnServers:
    """The servers themselves, in the process that ends last: plain pytest, or the controller of xdist."""

    def __init__(self) -> None:
        """Make a folder for the run; nothing is started yet."""
        _sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._alive = (self.folder / ALIVE).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        self._databases = Databases(self.folder / "postgres")
        self._vhosts: VirtualHosts | None = None
        self._rabbitmq_fault: str | None = None
        self._listener: Listener | None = None

    def migrated_database(self) -> str:
        """Return the URL of a new database with all tables."""
        return self._databases.migrated()

    def empty_database(self) -> str:
        """Return the URL of a new database without tables."""
        return self._databases.empty()

    def virtual_host(self) -> str:
        """Return the URL of a new virtual host; the first one starts the node."""
        return self._broker().create()

    def drop_virtual_host(self, url: str) -> None:
        """Delete a virtual host that ``virtual_host`` returned."""
        self._broker().delete(url)

    def rabbitmq_fault(self) -> str:
        """Return why no node can be started here; empty when one can. As root this may install it."""
        if self._rabbitmq_fault is None:
            try:
                debian.rabbitmq_binaries()
                self._rabbitmq_fault = ""
            except debian.MissingRabbitMQError as error:
                self._rabbitmq_fault = str(error)
        return self._rabbitmq_fault

    def listen(self) -> str:
        """Return the address at which workers reach these servers."""
        if self._listener is None:
            self._listener = Listener(str(self.folder / "desk"), "AF_UNIX")
            # One thread for the whole run: servers end with the thread that started them.
            threading.Thread(target=self._answer_workers, args=(self._listener,), daemon=True).start()
        return str(self._listener.address)

    def stop(self) -> None:
        """End all servers and remove what they left."""
        if self._listener is not None:
            self._listener.close()
        self._databases.stop()
        if self._vhosts is not None:
            self._vhosts.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._alive.close()

    def _broker(self) -> VirtualHosts:
        if self._vhosts is None:
            self._vhosts = virtual_hosts(
                self.folder / "rabbitmq", os.environ.get("TEST_BROKER_URL"), os.environ.get("TEST_BROKER_API_URL")
            )
        return self._vhosts

    def _answer_workers(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:  # closed: the run is over
                return
            with connection:
                name, arguments = connection.recv()
                try:
                    answer = getattr(self, name)(*arguments)
                except Exception as error:  # noqa: BLE001 - the worker that asked raises it, in the test that needed it
                    answer = RuntimeError(f"{type(error).__name__}: {error}")
                connection.send(answer)


def _sweep() -> None:
    """Remove the folders of runs that were killed: 80 MB each."""
    for file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{ALIVE}"):
        with suppress(OSError), file.open() as alive:  # it lives, or is somebody else's
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(file.parent)


class RemoteServers:
    """The controller's servers, seen from a worker of pytest-xdist."""

    def __init__(self, address: str) -> None:
        """Remember where the controller listens."""
        self._address = address

    def migrated_database(self) -> str:
        """Return the URL of a new database with all tables."""
        return str(self._ask("migrated_database"))

    def empty_database(self) -> str:
        """Return the URL of a new database without tables."""
        return str(self._ask("empty_database"))

    def virtual_host(self) -> str:
        """Return the URL of a new virtual host."""
        return str(self._ask("virtual_host"))

    def drop_virtual_host(self, url: str) -> None:
        """Delete a virtual host that ``virtual_host`` returned."""
        self._ask("drop_virtual_host", url)

    def rabbitmq_fault(self) -> str:
        """Return why no RabbitMQ node can be started here; empty when one can."""
        return str(self._ask("rabbitmq_fault"))

    def _ask(self, name: str, *arguments: str) -> Any:
        with Client(self._address, "AF_UNIX") as connection:
            connection.send((name, arguments))
            answer = connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


# Where pytest's configuration keeps them.
SERVERS = pytest.StashKey[OwnServers | RemoteServers]()
