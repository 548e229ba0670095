"""Receivers of webhooks, in the place of the pools of connections: they hear, answer, refuse, hang up and hang."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from orderapp.webhooks.signature import fault_of
from orderapp.webhooks.target import TOTAL_TIMEOUT
from tests.simulation.clock import Clock
from tests.simulation.outside import Dice, Outside, Told

# Refused with 500, heard and then hung up on, heard and answered too late, not to be reached.
REFUSED, HUNG_UP, TOO_LATE, AWAY = 0.06, 0.05, 0.03, 0.04


class Receiver:
    """Hears webhooks of all endpoints."""

    def __init__(self, outside: Outside, dice: Dice, clock: Clock) -> None:
        self._outside = outside
        self._dice = dice
        self._clock = clock

    @contextmanager
    def urlopen(
        self, url: str, _method: str, _path: str, data: bytes, headers: Mapping[str, str], **_options: Any
    ) -> Iterator[Any]:
        """Answer as the method of urllib3's pool would; told the whole URL first."""
        if self._dice.bad(AWAY):
            raise ConnectionRefusedError("no connection: refused")
        refused, hung_up, too_late = (self._dice.bad(one) for one in (REFUSED, HUNG_UP, TOO_LATE))
        valid = fault_of(self._outside.secrets[url], headers, data) is None
        taken = not (refused or hung_up or too_late)
        self._outside.told.append(Told(url, headers["webhook-id"], data, valid, taken))
        if too_late:
            self._clock.advance(TOTAL_TIMEOUT)
            raise TimeoutError
        if hung_up:
            raise ConnectionResetError("closed without an answer")
        yield SimpleNamespace(
            status=500 if refused else 200,
            headers={},
            get_redirect_location=lambda: None,
            read=lambda *_args, **_options: b"no" if refused else b"ok",
        )
