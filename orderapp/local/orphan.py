"""What a PostgreSQL left behind whose owner was killed: running processes, or a file that names one."""

import fcntl
import os
import signal
import time
from pathlib import Path

from orderapp.local.cluster import PostgresError

# What a server is sent, and the seconds it then gets: close connections and write down all; stop at once; be gone.
STOPS = ((signal.SIGINT, 10), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))

# Seconds between two looks at a server that ends.
POLL = 0.05


def end_orphan(data: Path, lock: Path) -> None:
    """Make sure that no process of an earlier server works on the data. Raises PostgresError.

    Every process of a server of ours holds the lock, also those that outlive its first one for a moment.
    """
    if not _is_gone_within(0, data, lock):
        for number, seconds in STOPS:
            pid = _postmaster(data)
            if pid is not None:
                os.kill(pid, number)
            if _is_gone_within(seconds, data, lock):
                break
        else:
            raise PostgresError(f"an earlier PostgreSQL still works in {data} and does not stop")
    recorded = _recorded_pid(data)
    if recorded is not None and Path(f"/proc/{recorded}").exists():
        # The number now belongs to a stranger (the machine or container was restarted), for whose sake PostgreSQL
        # would refuse to start. A number that belongs to nobody it judges better itself.
        (data / "postmaster.pid").unlink(missing_ok=True)


def _is_gone_within(seconds: float, data: Path, lock: Path) -> bool:
    deadline = time.monotonic() + seconds
    while not (_is_free(lock) and _postmaster(data) is None):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL)
    return True


def _is_free(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _postmaster(data: Path) -> int | None:
    """Return the process that postmaster.pid names, if it is one that works in the data."""
    pid = _recorded_pid(data)
    try:
        return pid if pid is not None and Path(f"/proc/{pid}/cwd").readlink() == data else None
    except OSError:
        return None


def _recorded_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
