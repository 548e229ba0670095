"""Failpoints: places where a test makes a process die, fail, lose its connection or hang. Off, each costs one comparison.

They stand at the four borders of the service: around each transaction (``database.writing()``), around publishing, around the
POST of a webhook, around a task's acknowledgement. Each is named after the act: ``orders.processing:settle:before_commit``.

The setting FAILPOINTS arms them, never in production: ``RECORD`` or ``RECORD PATTERN=ACTION@N ...``. Every passage of every
process that has the setting is a line in the file RECORD, so that a test can count them first and then fail each in turn.
The action is taken at the N-th passage that fits the pattern, once, whichever process that is; with ``@N+`` at each from
there on.
"""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


class FailpointError(Exception):
    """What a failpoint raises: an error that nobody expects."""


def _lose_connection() -> None:
    raise ConnectionResetError("by a failpoint")


@dataclass(frozen=True)
class Plan:
    """What happens when, as in ``orders.*:before_commit=kill@2``."""

    pattern: str
    action: str
    first: int
    always: bool

    def is_due(self, name: str, passed: list[str]) -> bool:
        """Tell whether the last of these passages is one to act at."""
        if not fnmatchcase(name, self.pattern):
            return False
        number = sum(fnmatchcase(each, self.pattern) for each in passed)
        return number == self.first or (self.always and number > self.first)


@dataclass(frozen=True)
class Failpoints:
    """The record of passages, and what happens at some of them."""

    record: Path
    plans: tuple[Plan, ...]

    def passing(self, name: str, cut: Callable[[], None]) -> None:
        """Note the passage, and act when one of the plans says so."""
        passed = self._noted(name)
        for plan in self.plans:
            if plan.is_due(name, passed):
                _act(plan.action, name, cut)

    def _noted(self, name: str) -> list[str]:
        # Locked, because passages of several processes are counted as one series.
        with self.record.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{name}\n")
            file.seek(0)
            return file.read().splitlines()


_armed: Failpoints | None = None


def arm(setting: str | None) -> None:
    """Arm what the setting says; disarm everything without one."""
    global _armed  # noqa: PLW0603 - a name in this module is the cheapest thing that can be looked at
    _armed = _parsed(setting) if setting else None


def passing(act: str, point: str, cut: Callable[[], None] = _lose_connection) -> None:
    """Go by; when armed for this passage, fail. ``cut`` breaks the connection that this place uses."""
    if _armed is not None:
        _armed.passing(f"{act}:{point}", cut)


def act_outside(frames: int) -> str:
    """Return the act that called, this many frames up, as ``orders.processing:settle``; nothing when off."""
    if _armed is None:
        return ""
    frame = sys._getframe(frames + 1)  # noqa: SLF001 - only here can a name be had that costs nothing when off
    module = frame.f_globals["__name__"].removeprefix("orderapp.")
    return f"{module}:{frame.f_code.co_name.lstrip('_')}"


def _parsed(setting: str) -> Failpoints:
    record, *plans = setting.split()
    return Failpoints(Path(record), tuple(_plan(text) for text in plans))


def _plan(text: str) -> Plan:
    pattern, _, rest = text.partition("=")
    action, _, number = rest.partition("@")
    return Plan(pattern, action, int(number.removesuffix("+")), number.endswith("+"))


def _act(action: str, name: str, cut: Callable[[], None]) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise FailpointError(name)
    elif action == "reset":
        cut()
    elif action == "hang":
        threading.Event().wait()
