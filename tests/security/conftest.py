"""A web server alone, with nobody behind it, shared by the tests of a module."""

from collections.abc import Iterator

import pytest

from tests.admin.conftest import visit  # noqa: F401 - pytest finds it here
from tests.journeys.world import World
from tests.servers.environment import NOBODY
from tests.servers.run import Servers
from tests.test_access import ask  # noqa: F401 - likewise

# One process with two threads: what would hold up a server is the least that it can be.
SMALL = {"WEB_WORKERS": "1", "WEB_THREADS": "2"}


@pytest.fixture(scope="module")
def alone(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a database and what starts processes on it."""
    world = World(servers.migrated_database(), NOBODY, tmp_path_factory.mktemp("output"))
    yield world
    world.end()


@pytest.fixture(scope="module")
def front(alone: World) -> World:
    """Give a shop of which only gunicorn runs."""
    return alone.start(web=alone.processes.web(**SMALL))
