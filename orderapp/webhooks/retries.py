"""When a failed attempt is tried again."""

import random
from datetime import timedelta

# Standard Webhooks' example schedule, which Svix and others use: a hiccup is over in seconds, a deploy in minutes, an
# outage on a weekend in days. The tenth attempt comes about three days after the first.
DELAYS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)

LAST_ATTEMPT = len(DELAYS)

# A receiver that was away must not meet everything it missed in one second.
JITTER = 0.1


# A receiver may ask for no longer a pause than the schedule's own longest.
LONGEST_ASKED = timedelta(hours=24)


def delay_after(attempt: int, asked: timedelta | None = None) -> timedelta | None:
    """Return how long to wait after this attempt failed; None when it was the last (also of a resend after that).

    ``asked`` is the receiver's Retry-After: it may lengthen the pause, not shorten it, for all attempts would be used up.
    """
    if attempt >= LAST_ATTEMPT:
        return None
    pause = DELAYS[attempt] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
    return max(pause, min(asked, LONGEST_ASKED)) if asked else pause
