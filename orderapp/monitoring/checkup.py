"""The shape of a check-up: checks that each find something, each with a deadline, none in the way of the others."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from flask import Flask

State = Literal["ok", "warning", "fault"]

# Seconds that one check may take. Connecting gives up after 3, and a healthy server answers in milliseconds.
DEADLINE = 10


@dataclass(frozen=True)
class Finding:
    """What one check saw; ``remedy`` is what to do about it, empty where nothing is."""

    check: str
    state: State
    found: str
    remedy: str = ""


def ok(check: str, found: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, remedy: str) -> Finding:
    """Return a finding with which the service works, but not as it should."""
    return Finding(check, "warning", found, remedy)


def fault(check: str, found: str, remedy: str) -> Finding:
    """Return a finding with which the service, or a part of it, does not work."""
    return Finding(check, "fault", found, remedy)


# Each finding at once: what was found before a check got stuck is told.
Check = Callable[[], Iterable[Finding]]


class Examination:
    """One check in a thread of its own. A daemon: one that hangs in a name server's silence must not keep the process."""

    def __init__(self, app: Flask, name: str, check: Check) -> None:
        self._app, self._name, self._check = app, name, check
        self._found: list[Finding] = []
        self._thread = threading.Thread(target=self._run, name=f"doctor-{name}", daemon=True)
        self._end = time.monotonic() + DEADLINE
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._app.app_context():
                for finding in self._check():
                    self._found.append(finding)
        except Exception as error:  # noqa: BLE001 - whoever called the doctor sees it as a finding
            said = f"the check failed: {first_line(error)}"
            self._found.append(fault(self._name, said, "see whether another finding explains it"))

    def findings(self) -> list[Finding]:
        """Return what was found, when the check is over or its time is."""
        self._thread.join(max(0.0, self._end - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            found.append(fault(self._name, f"no answer within {DEADLINE:g} s", "see whether it hangs, or the way there"))
        return found


def one_by_one(app: Flask, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Make these checks one after the other; each has its own time."""
    for name, check in checks:
        yield from Examination(app, name, check).findings()


def together(app: Flask, checks: Iterable[tuple[str, Check]]) -> Iterator[Finding]:
    """Make these checks at the same time."""
    for examination in [Examination(app, name, check) for name, check in checks]:
        yield from examination.findings()


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says; of a database's, without the statement."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    return said or type(error).__name__
