"""When a failed attempt is tried again."""

from datetime import timedelta

import pytest

from orderapp.webhooks.retries import DELAYS, JITTER, LAST_ATTEMPT, delay_after


@pytest.mark.parametrize(
    ("attempt", "delay"),
    [
        (1, timedelta(seconds=5)),
        (2, timedelta(minutes=5)),
        (3, timedelta(minutes=30)),
        (4, timedelta(hours=2)),
        (5, timedelta(hours=5)),
        (6, timedelta(hours=10)),
        (7, timedelta(hours=14)),
        (8, timedelta(hours=20)),
        (9, timedelta(hours=24)),
    ],
)
def test_the_pause_grows_from_seconds_to_a_day(attempt: int, delay: timedelta) -> None:
    """Each attempt waits as the schedule says, at most a tenth more or less."""
    for _ in range(50):
        assert delay * (1 - JITTER) <= delay_after(attempt) <= delay * (1 + JITTER)


def test_failures_of_one_moment_do_not_come_back_in_one_moment() -> None:
    """The jitter spreads them."""
    assert len({delay_after(3) for _ in range(20)}) > 1


def test_the_tenth_attempt_is_the_last() -> None:
    """After it nothing follows, nor after the extra one of a resend."""
    assert LAST_ATTEMPT == len(DELAYS) == 10
    assert delay_after(10) is None
    assert delay_after(11) is None


def test_the_whole_way_takes_about_three_days() -> None:
    """A receiver that is down over a weekend still hears of everything."""
    assert timedelta(days=3) < sum(DELAYS, timedelta()) < timedelta(days=4)
