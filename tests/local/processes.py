"""Looks at processes of others."""

import time
from collections.abc import Callable
from pathlib import Path


def eventually(happened: Callable[[], bool], within: float = 30) -> bool:
    """Look until it is so; tell whether it came to be in time (seconds)."""
    deadline = time.monotonic() + within
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
