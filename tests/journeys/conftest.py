"""Fixtures of the journeys."""

from tests.journeys.fixtures import *  # noqa: F403 - pytest finds fixtures by their names in here
