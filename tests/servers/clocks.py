"""A clock for processes, set by a test: to them the time jumps, to everybody else it does not."""

import os
from pathlib import Path

import pytest

from tests.servers import debian

# Seconds in which PostgreSQL sees that the clock was set.
SEEN = 1

# Where Python finds what follows the clock: libfaketime breaks every sleep of a Python whose monotonic clock it leaves alone.
FOLLOWER = Path(__file__).with_name("clock")


class Clock:
    """The wall clock of the processes that get its environment. Their monotonic one is left alone, as a kernel does."""

    def __init__(self, file: Path) -> None:
        """Show the right time."""
        self._file = file
        self.set(0)

    @property
    def of_python(self) -> dict[str, str]:
        """Return the environment of a process of ours."""
        return {"PYTHONPATH": str(FOLLOWER), "TEST_CLOCK": str(self._file)}

    @property
    def of_programs(self) -> dict[str, str]:
        """Return that of any other. Skips the test where libfaketime is not to be had; with CI=true that is a failure."""
        try:
            library = debian.libfaketime()
        except debian.MissingPackageError as error:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(SEEN),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """Let it be so many seconds ahead of the machine's, or behind."""
        # Renamed into place: a process that reads half a line would be somewhere else in time.
        half = self._file.with_suffix(".half")
        half.write_text(f"{seconds:+d}\n")
        half.replace(self._file)
