"""Child processes in a session of their own: their output in a file, their whole family killable, none outlives the tests."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import config
from tests.servers.waiting import wait_until

# Seconds that the kernel may take to bury a killed family on a busy machine.
BURIAL = 10


def spawn(argv: Sequence[str | Path], environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    """Start a process in a new session, at the root of the tree; output and errors are appended to the file.

    Where util-linux's setpriv is at hand, the process is asked to end (SIGTERM) when the thread that started it ends, so
    that even a test run killed by SIGKILL leaves nothing behind.
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as file:
        return subprocess.Popen(
            [*prefix, *map(str, argv)],
            cwd=config.ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def family(leader: int) -> list[int]:
    """Return the live processes of the session that ``leader`` leads, the leader first."""
    pids = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended while we looked
            # "pid (name) state ppid pgrp session ...": the name may hold anything, even a bracket.
            state, _ppid, _group, session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state not in "ZX":
                pids.append(int(stat.parent.name))
    return sorted(pids, key=lambda pid: (pid != leader, pid))


def signal_family(leader: int, number: signal.Signals) -> None:
    """Send a signal to every process of the session."""
    for pid in family(leader):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def end_family(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session and wait until nothing is."""

    def nobody_is_left() -> bool:
        signal_family(process.pid, signal.SIGKILL)
        process.poll()
        return not family(process.pid)

    wait_until(nobody_is_left, BURIAL, f"the end of process {process.pid} and its children")
    process.wait()


def tail(output: Path, lines: int = 40) -> str:
    """Return the last lines of a file of output."""
    return "\n".join(output.read_text(errors="replace").splitlines()[-lines:]) if output.exists() else ""
