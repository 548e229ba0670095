"""The whole service on servers of its own, and somebody who starts again whatever has died, as systemd or Docker would."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import digits
from typing import Any

import psycopg2

from tests.journeys.world import World
from tests.servers import postgres
from tests.servers.environment import forget_the_shell
from tests.servers.links import Network
from tests.servers.processes import Process
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import free_port, wait_until
from tests.soak.recorder import Recorder

PREFIX = "orderapp-soak-"

# Seconds in which PostgreSQL replays its log after a backend was killed; 1 is usual.
RECOVERY = 60

# As docker-compose.yml has it: a delivery mostly waits.
WEBHOOKS_AT_ONCE = 4

# Seconds between two looks at whether a process has ended.
LOOK = 0.1

# The service's processes by role; the order is that of their start.
ROLES = ("web", "relay", "worker", "webhook worker", "beat")

# What they talk to, where that is not both PostgreSQL and RabbitMQ.
SERVERS = {
    "web": ("PostgreSQL",),
    "webhook worker": ("PostgreSQL", "RabbitMQ", "receiver"),
    "beat": ("RabbitMQ",),
}

# As in an installation that loses no role with one machine: work is claimed and sent by several at once.
MANY_ROLES = (*ROLES, "relay 2", "relay 3", "beat 2")


class Shop:
    """A database, a broker, a recording receiver and the processes of the service."""

    def __init__(self, folder: Path, nodes: int = 1) -> None:
        """Start the servers, RabbitMQ as a cluster of so many nodes; ``open`` starts the service."""
        self.folder = folder
        self.postgres, url = postgres.start_server(folder / "postgres")
        postgres.migrate(url)
        self.node = RabbitNode(folder / "rabbitmq")
        self.node.start()
        self.nodes = [self.node, *(RabbitNode(folder / f"rabbitmq{number}", peer=self.node) for number in range(2, nodes + 1))]
        for node in self.nodes[1:]:
            node.start()
            node.join()
        self.world = World(url, ";".join(node.url() for node in self.nodes), folder / "output")
        self.recorder = Recorder(self.world.receiver)
        self.processes: dict[str, Process] = {}
        self.network = Network()
        self.restarts = 0
        self.keep = False  # the folder, for somebody to look into
        self._port = str(free_port())
        self._wires: dict[str, dict[str, str]] = {}

    @property
    def url(self) -> str:
        """Return where the API is, also after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the service's settings."""
        return self.world.processes.environment

    def wire(self, *roles: str) -> None:
        """Have a link between each of these processes and each server that it talks to; before they start."""
        for role in roles:
            servers = SERVERS.get(_kind(role), ("PostgreSQL", "RabbitMQ"))
            self._wires[role] = self.network.wires(role, self.environment, *servers)

    def open(self, *roles: str) -> None:
        """Start these processes of the service, or all, and wait until they serve."""
        for role in roles or ROLES:
            self._start(role)
        for process in self.processes.values():
            process.wait_ready()

    def tend(self) -> None:
        """Start again what has ended. Only from the main thread: a child ends with the thread that started it."""
        for role, process in list(self.processes.items()):
            if process.exit_code is not None:
                self.restarts += 1
                self._start(role)

    def tend_for(self, seconds: float) -> None:
        """Let so much time pass, tending the processes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tend()
            time.sleep(LOOK)

    def one_of(self, role: str, pick: int) -> Process:
        """Return one of the processes of this kind: "relay" may be "relay 2" as well."""
        alike = [process for name, process in self.processes.items() if _kind(name) == role]
        return alike[pick % len(alike)]

    def _start(self, role: str) -> None:
        started, wires = self.world.processes, self._wires.get(role, {})
        starters: dict[str, Callable[[], Process]] = {
            "web": lambda: started.web(PORT=self._port, **wires),
            "relay": lambda: started.relay(**wires),
            "worker": lambda: started.worker(queues="orders,maintenance", **wires),
            "webhook worker": lambda: started.worker(queues="webhooks", concurrency=WEBHOOKS_AT_ONCE, **wires),
            "beat": lambda: started.beat(**wires),
        }
        self.processes[role] = starters[_kind(role)]()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; waits while PostgreSQL comes back from what was done to it."""

        def answer() -> list[list[tuple[Any, ...]]]:
            try:
                return [self.world.rows(statement, *values)]
            except psycopg2.OperationalError:
                return []

        return wait_until(answer, RECOVERY, "PostgreSQL to answer")[0]

    def unrest(self) -> dict[str, int]:
        """Return how much is still on its way, by kind; empty when everything is final."""
        row: tuple[Any, ...] = self.rows("""
            SELECT (SELECT count(*) FROM orders WHERE status IN ('pending', 'processing')),
                (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'),
                (SELECT count(*) FROM outbox WHERE parked_at IS NULL)
        """)[0]
        return {name: count for name, count in zip(("orders", "webhooks", "outbox"), row, strict=True) if count}

    def close(self) -> None:
        """End everything."""
        self.world.end()
        self.network.close()
        for node in reversed(self.nodes):
            node.destroy()
        self.postgres.stop()


def _kind(role: str) -> str:
    return role.rstrip(digits).rstrip()


@contextmanager
def a_shop(nodes: int = 1) -> Iterator[Shop]:
    """Give a shop in a folder of its own; the processes' output is kept when the block raises."""
    shell = dict(os.environ)
    forget_the_shell()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    shop = Shop(folder, nodes)
    os.environ.update(shop.environment)  # acts called from here work on the same database
    try:
        yield shop
    finally:
        shop.close()
        os.environ.clear()
        os.environ.update(shell)
    if not shop.keep:
        shutil.rmtree(folder, ignore_errors=True)
