"""The shop of the journeys, for the short form."""

from tests.journeys.fixtures import *  # noqa: F403 - pytest finds fixtures by their names in here
