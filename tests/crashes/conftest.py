"""Fixtures of the crash tests: the same worlds as the journeys have, and processes that will be killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crashes.doom import Doom
from tests.journeys.fixtures import *  # noqa: F403 - pytest finds fixtures by their names in here
from tests.journeys.world import World


@pytest.fixture
def doom(world: World, tmp_path: Path) -> Iterator[Doom]:
    """Give what starts processes that will be killed."""
    doom = Doom(world.processes, tmp_path)
    yield doom
    doom.end()
