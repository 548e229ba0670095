"""The short forms of what ``python -m tests.soak`` shows by hand."""

import pytest

from tests.soak.kills import soak

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]


def test_half_a_minute_of_kills_loses_nothing_and_does_nothing_twice() -> None:
    """Each kind of fault about once, under load, cancels, retries and restocks."""
    found = soak(seconds=30, seed=20, rate=30, every=2.5)
    assert found.clean, found.faults
    assert found.accepted > 300
    assert found.webhooks_received == found.webhooks_due > 300
