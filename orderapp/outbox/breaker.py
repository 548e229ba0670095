"""A circuit breaker: after a failure wait, then try with one message, then drain."""

import time
from collections.abc import Callable

# Seconds of the first wait: a broker's restart takes longer, a lost packet does not.
FIRST_WAIT = 0.25

# Seconds of the longest wait: after an outage of an hour, orders move again within this time.
LONGEST_WAIT = 5.0


class Breaker:
    """Closed: everything goes. Open: nothing goes until the wait is over. Then one probe decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wait = 0.0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Tell whether the wait is still on."""
        return self._clock() < self._until

    @property
    def is_probing(self) -> bool:
        """Tell whether the next try is a probe."""
        return self._wait > 0 and not self.is_open

    def trip(self) -> bool:
        """Note a failure; each one in a row doubles the wait. Returns whether it is the first."""
        first = self._wait == 0
        self._wait = min(self._wait * 2 or FIRST_WAIT, LONGEST_WAIT)
        self._until = self._clock() + self._wait
        return first

    def reset(self) -> bool:
        """Note a success. Returns whether it ended an outage."""
        ended = self._wait > 0
        self._wait = self._until = 0.0
        return ended
