"""The short forms of what ``python -m tests.soak`` shows by hand."""

import pytest

from tests.soak.batching import batching
from tests.soak.kills import soak
from tests.soak.outages import database, outage, wiped

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]


def test_half_a_minute_of_kills_loses_nothing_and_does_nothing_twice() -> None:
    """Each kind of fault about once, also of links and alarms, under load, cancels, retries and restocks."""
    found = soak(seconds=30, seed=20, rate=10, every=1.6)
    assert found.clean, found.faults
    assert found.accepted > 100
    assert found.webhooks_received == found.webhooks_due > 100


def test_after_an_outage_of_the_broker_everything_is_final_within_a_minute() -> None:
    """Nothing is lost, doubled or failed for it."""
    found = outage(seconds=10, rate=10, seed=1)
    assert found.clean, found.faults
    assert found.settled > 80


def test_a_broker_that_comes_back_with_nothing_costs_nothing() -> None:
    """Queues, messages and users are gone; the orders are in PostgreSQL."""
    found = wiped(times=1, rate=10, seed=1)
    assert found.clean, found.faults
    assert found.settled > 30


def test_orders_queued_while_the_database_is_away_are_final_within_a_minute() -> None:
    """No attempt is counted against any of them."""
    found = database(seconds=5, count=500, rate=10, seed=1)
    assert found.clean, found.faults
    assert found.settled >= 500


def test_batches_win_eight_times() -> None:
    """For the relay and for settling, beside doing it one at a time in the same run."""
    assert batching()
