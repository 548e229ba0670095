"""Where the processes of one service count together: a folder of files that each of them maps into its memory.

``gather()`` comes before the first import of orderapp, whose instruments decide then whether to count in such a folder. That
is why this stands beside orderapp/ and not in it.
"""

import atexit
import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path

from heartbeat import folder, is_held

log = logging.getLogger(__name__)

# prometheus_client's own name for it.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# In memory: a write to a mapped file for which a full disk has no block ends the process (SIGBUS).
MEMORY = "/dev/shm"  # noqa: S108 - a folder of this user's own is made there


def gather() -> None:
    """Make a new folder for this process and its children, and remove those of services that are gone.

    Never raises: without a folder each process counts for itself, which is no reason not to serve.
    """
    try:
        with folder(MEMORY if Path(MEMORY).is_dir() else None) as own:
            _sweep(own)
            made = Path(tempfile.mkdtemp(prefix="metrics-", dir=own))
            lock = os.open(made / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # By fcntl and not by flock: a child that outlives this process must not keep the folder.
            fcntl.lockf(lock, fcntl.LOCK_EX)
    except OSError as error:
        log.warning("processes cannot count together, /metrics will show one of them: %s", error)
        return
    os.environ[VARIABLE] = str(made)
    atexit.register(_forget, made, os.getpid())


def _sweep(own: Path) -> None:
    for lock in own.glob("metrics-*/lock"):
        with lock.open("r+") as file:
            if not is_held(file.fileno()):
                shutil.rmtree(lock.parent)


def _forget(made: Path, pid: int) -> None:
    """At an orderly end leave nothing behind; not in a child, which runs its parent's farewells too."""
    if os.getpid() == pid:
        shutil.rmtree(made, ignore_errors=True)
