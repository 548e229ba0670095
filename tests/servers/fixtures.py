"""Fixtures of servers: a clean database, a virtual host, a webhook receiver; private servers for tests that break them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import postgres
from tests.servers.rabbitmq import RabbitNode
from tests.servers.receiver import Receiver
from tests.servers.run import SERVERS, Servers


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    """Return the servers of this run."""
    return request.config.stash[SERVERS]


@pytest.fixture(scope="session")
def migrated_database(servers: Servers) -> str:
    """Return the URL of this worker's own database, with all tables. Tests want ``database``, which is clean."""
    return servers.migrated_database()


@pytest.fixture
def database(migrated_database: str) -> str:
    """Return the URL of a database as the migrations leave it: no rows but the anonymous client, ids begin at 1."""
    postgres.clean(migrated_database)
    return migrated_database


@pytest.fixture
def empty_database(servers: Servers) -> str:
    """Return the URL of a database of this test's own, without tables."""
    return servers.empty_database()


@pytest.fixture
def private_postgres(tmp_path: Path) -> Iterator[Any]:
    """Give a migrated PostgreSQL server of this test's own, to be stopped and started; it has ``.url``."""
    server, url = postgres.start_server(tmp_path / "postgres")
    try:
        postgres.migrate(url)
        yield server
    finally:
        server.stop()


@pytest.fixture
def broker(servers: Servers) -> Iterator[str]:
    """Give the AMQP URL of a virtual host of this test's own; nothing is declared in it."""
    url = servers.virtual_host()
    yield url
    servers.drop_virtual_host(url)


@pytest.fixture
def private_node(tmp_path: Path) -> Iterator[RabbitNode]:
    """Give a running RabbitMQ node of this test's own, to be stopped, killed, paused; costs 5 s."""
    node = RabbitNode(tmp_path / "rabbitmq")
    try:
        node.start()
        yield node
    finally:
        node.destroy()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """Give a node that the tests of one module may freeze, starve and kill; each leaves it running."""
    own = RabbitNode(tmp_path_factory.mktemp("node") / "rabbitmq")
    try:
        own.start()
        yield own
    finally:
        own.destroy()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a webhook receiver; with it, the service sends there."""
    server = Receiver()
    yield server
    server.stop()
