"""A world per module, so that the tests of a module share the processes they do not kill."""

from collections.abc import Iterator

import pytest

from tests.journeys.world import World
from tests.servers.processes import PROCESSES, READY
from tests.servers.run import Servers
from tests.servers.waiting import a_place, wait_until


@pytest.fixture(scope="module")
def own_database(servers: Servers) -> str:
    """Return the URL of a migrated database of this module's own; a module that breaks the server overrides this."""
    return servers.migrated_database()


@pytest.fixture(scope="module")
def broker(servers: Servers, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of a virtual host of this module's own; a module that breaks its ``node`` says ``OWN_NODE = True``."""
    if getattr(request.module, "OWN_NODE", False):
        yield request.getfixturevalue("node").url()
        return
    url = servers.virtual_host()
    yield url
    servers.drop_virtual_host(url)


@pytest.fixture(scope="module")
def world(own_database: str, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a world in which nothing has been started."""
    world = World(own_database, broker, tmp_path_factory.mktemp("output"))
    yield world
    world.end()


@pytest.fixture(scope="package")
def shop(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the shop that all tests share which break nothing: two relays and two workers side by side, the example products.

    Each of the four shows what it counts at a port of its own.
    """
    broker = servers.virtual_host()
    world = World(servers.migrated_database(), broker, tmp_path_factory.mktemp("output"))
    started = world.processes
    seed = started.start("seed", "flask", "products", "seed")
    try:
        world.start(
            web=started.web(),
            relay=started.relay(METRICS_LISTEN=a_place()),
            relay2=started.relay(METRICS_LISTEN=a_place()),
            worker=started.worker(METRICS_LISTEN=a_place()),
            worker2=started.worker(METRICS_LISTEN=a_place()),
        )
        wait_until(lambda: seed.exit_code == 0, READY, f"the example products, not: {seed.text}")
        yield world
    finally:
        world.end()
        servers.drop_virtual_host(broker)


@pytest.fixture(autouse=True)
def output_of_failed_tests(request: pytest.FixtureRequest) -> None:
    """Let a failed test show what the processes of its world printed."""
    for name in {"shop", "world"} & set(request.fixturenames):
        request.node.stash[PROCESSES] = request.getfixturevalue(name).processes
