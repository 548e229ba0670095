"""The breaker: when a relay tries again."""

import pytest

from orderapp.outbox.breaker import FIRST_WAIT, LONGEST_WAIT, Breaker


class Clock:
    """A clock that a test turns."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


def test_a_new_breaker_lets_everything_through(clock: Clock) -> None:
    """Nothing has failed yet."""
    breaker = Breaker(clock)
    assert not breaker.is_open
    assert not breaker.is_probing


def test_a_failure_opens_it_and_the_wait_ends_in_a_probe(clock: Clock) -> None:
    """Only one message tells whether the broker is back."""
    breaker = Breaker(clock)
    assert breaker.trip()
    assert breaker.is_open
    clock.now += FIRST_WAIT
    assert not breaker.is_open
    assert breaker.is_probing


def test_failures_in_a_row_double_the_wait_up_to_a_limit(clock: Clock) -> None:
    """And only the first is reported."""
    breaker = Breaker(clock)
    waits = []
    for number in range(8):
        assert breaker.trip() is (number == 0)
        before = clock.now
        while breaker.is_open:
            clock.now += FIRST_WAIT / 2
        waits.append(clock.now - before)
    assert waits[:4] == [0.25, 0.5, 1.0, 2.0]
    assert waits[-1] == LONGEST_WAIT


def test_a_success_closes_it_and_the_next_failure_is_a_first_one(clock: Clock) -> None:
    """The end of an outage is reported once."""
    breaker = Breaker(clock)
    breaker.trip()
    assert breaker.reset()
    assert not breaker.is_open
    assert not breaker.is_probing
    assert not breaker.reset()
    assert breaker.trip()
