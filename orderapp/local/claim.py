"""One stack per checkout: who holds ``var/stack.json`` locked is the one that runs, and tells others its URLs."""

import fcntl
import json
import os
import time
from pathlib import Path
from typing import IO

# Tries, and seconds between two: a command that looks whether a stack runs holds the file for microseconds.
TRIES, PAUSE = 5, 0.1

# Seconds for the processes of a killed run to end by themselves: a worker finishes its tasks, a webhook takes up to 30.
LEFTOVER_TIMEOUT = 40


class StackFile:
    """The file; see ``config.running_stack``, which reads it."""

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self.path = path
        self._file: IO[str] | None = None

    def claim(self) -> bool:
        """Hold the file until the process ends; False when another stack holds it."""
        self.path.parent.mkdir(exist_ok=True)
        # The URLs in it may carry a password.
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        for _ in range(TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(PAUSE)
            else:
                self._file = file
                self.tell({})
                return True
        file.close()
        return False

    def tell(self, urls: dict[str, str]) -> None:
        """Let other commands join what runs under these URLs."""
        assert self._file is not None, "claim the file first"  # noqa: S101 - a fault of the caller
        self._file.seek(0)
        self._file.truncate()
        json.dump(urls, self._file, indent=1)
        self._file.flush()


class Lifeline:
    """A lock that every child inherits: free only when no process of an earlier run is left."""

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self.file: IO[str] = path.open("w")

    def is_free(self) -> bool:
        """Take the lock, if no process of an earlier run has it."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def await_free(self, seconds: float = LEFTOVER_TIMEOUT) -> bool:
        """Wait for the lock; False when the time is up."""
        deadline = time.monotonic() + seconds
        while not self.is_free():
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE)
        return True
