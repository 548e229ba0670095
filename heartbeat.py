"""Heartbeats: relay, worker and beat note every second that their loop goes round; ``flask health`` reads the notes.

One file per process, in a folder of the user, and nothing else: an outage of the database or the broker is no fault of the
process that waits for it. Not in orderapp/, whose import takes a second of processor time: health checks come every few
seconds, and need only this file; ``python heartbeat.py relay`` is ``flask health relay`` without Flask, for containers.

Web has no loop to note. In the same folder it finds the mark by which ``flask health drain`` asks it to call itself not ready.
"""

import atexit
import fcntl
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

KINDS = ("relay", "worker", "beat")

# Seconds between two notes. A loop may go round a hundred times in one; a person reads seconds.
PERIOD = 1

# Seconds without a note after which a process counts as stuck. The longest honest pauses are a statement that runs into
# its timeout of 30 s, and Beat's pause of 30 s between two attempts to reach a broker, with what follows each of them.
LONGEST_PAUSE = 60

# Seconds that a drained instance goes on serving: load balancers commonly ask every 5 s and believe the second or third
# refusal, and Kubernetes takes a few seconds to tell all its nodes.
NOTICED_WITHIN = 15

# More than a note is long: a worker's name is a host's name and a word.
LONGEST_NOTE = 1000

_REMEDIES = {
    "relay": "flask outbox relay",
    "worker": "celery -A celery_worker worker",
    "beat": "celery -A celery_worker beat",
}


class Heart:
    """What a process calls each time its loop goes round; its first beat makes it known."""

    def __init__(self, kind: str, name: str = "") -> None:
        self.kind = kind
        self.name = name
        self._last = float("-inf")
        self._file: int | None = None

    def beat(self) -> None:
        """Note that the loop goes round. Never raises: a full disk must not end what it is to watch."""
        now = time.monotonic()  # one clock for all processes of a machine, and nobody sets it
        if now - self._last < PERIOD:
            return
        try:
            if self._file is None:
                self._file = self._open(now)
            else:
                self._write(self._file, now)
        except OSError as error:
            if self._last < 0:
                log.warning("no heartbeat can be kept, health checks will fail: %s", error)
        self._last = now

    def _write(self, file: int, now: float) -> None:
        os.pwrite(file, f"{now:020.3f} {os.getpid()} {self.name}\n".encode(), 0)

    def _open(self, now: float) -> int:
        """Make this process's own file with a first note in it, and hold its lock.

        The kernel lets go of the lock in the moment the process is gone. One by fcntl and not by flock: Celery's children,
        which inherit flock's, may outlive the worker.
        """
        with folder() as own:
            for note in _notes(own, self.kind):
                if note.name == self.name and not note.is_held:
                    note.path.unlink()  # our predecessor's, who was killed
            file, path = tempfile.mkstemp(prefix=f"{self.kind}-", dir=own)
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._write(file, now)
            except OSError:  # the disk is full: the next attempt comes in a second
                os.close(file)
                Path(path).unlink()
                raise
        atexit.register(_forget, path, os.getpid())
        return file


@dataclass(frozen=True)
class Note:
    """What one process last said of itself, and whether it still exists."""

    path: Path
    at: float
    pid: str
    name: str
    is_held: bool


def notes(kind: str) -> list[Note]:
    """Return the notes of this kind of process, of this user on this host. Raises OSError where none can be."""
    with folder() as own:
        return list(_notes(own, kind))


@contextmanager
def folder(above: str | None = None) -> Iterator[Path]:
    """Hold this user's own folder: nobody sees a file before it is locked and holds a note. Raises OSError without one."""
    own = Path(above or tempfile.gettempdir()) / f"orderapp-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(handle)
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise PermissionError(f"{own} is not this user's own")  # others may write to the folder above it
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield own
    finally:
        os.close(handle)


def _notes(own: Path, kind: str) -> Iterator[Note]:
    for path in sorted(own.glob(f"{kind}-*")):
        with suppress(FileNotFoundError), path.open("r+") as file:  # its process may end meanwhile
            at, pid, name = [*file.read(LONGEST_NOTE).removesuffix("\n").split(" ", 2), "", "", ""][:3]
            yield Note(path, float(at or "-inf"), pid, name, is_held(file.fileno()))


def is_held(file: int) -> bool:
    """Tell whether another process holds this file's lock; if not, this one does until the file is closed."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _forget(path: str, pid: int) -> None:
    """At an orderly end leave nothing behind; not in a child, which runs its parent's farewells too."""
    if os.getpid() == pid:
        Path(path).unlink(missing_ok=True)


@click.group("health")
def health() -> None:
    """Tell whether processes are alive; take a web instance out of the traffic."""


def _command(kind: str) -> click.Command:
    @click.option("--name", help="Of several workers, the one that was started with -n NAME; with or without its @host.")
    @click.option(
        "--within", type=click.FloatRange(min=0), default=LONGEST_PAUSE, show_default=True, help="Seconds of silence."
    )
    def command(name: str | None, within: float) -> None:
        _tell(kind, name, within)

    words = f"""Tell whether each {kind} of this user on this host is alive; asks neither database nor broker.

    Exit code 0: there is one, and the loop of each goes round; 1: what to do.
    """
    return click.command(kind, help=words)(command)


for _kind in KINDS:
    health.add_command(_command(_kind))


def _tell(kind: str, name: str | None, within: float) -> None:
    try:
        found = [note for note in notes(kind) if name is None or name in {note.name, note.name.partition("@")[0]}]
    except OSError as error:
        raise click.ClickException(f"{kind}: heartbeats cannot be read: {error}") from error
    now = time.monotonic()
    verdicts = [_verdict(note, now - note.at, within) for note in found]
    for note, (_, words) in zip(found, verdicts, strict=True):
        click.echo(f"{kind}{f' {note.name}' if note.name else ''}: {words}")
    if not found:
        click.echo(f"{kind}{f' {name}' if name else ''}: none runs here as this user. Start it: {_REMEDIES[kind]}")
    if not found or not all(alive for alive, _ in verdicts):
        raise SystemExit(1)


def _verdict(note: Note, age: float, within: float) -> tuple[bool, str]:
    if not note.is_held:
        return False, f"dead, process {note.pid} was killed. Start it again; or, if it is not to come back: rm {note.path}"
    if age > within:
        return False, f"stuck, last loop {age:.1f} s ago. See its last log lines, then kill -9 {note.pid} and start it again"
    return True, f"alive, last loop {age:.1f} s ago"


@health.command("drain")
@click.option("--port", envvar="PORT", type=int, default=8000, show_default=True, help="Of the web instance.")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=NOTICED_WITHIN, show_default=True, help="Seconds to go on serving."
)
@click.option("--undo", is_flag=True, help="Let the instance be ready again.")
def drain(port: int, wait: float, undo: bool) -> None:
    """Make a web instance not ready, and return when nobody sends to it any more: the next thing may be SIGTERM.

    It goes on serving meanwhile; what it has begun when SIGTERM comes, gunicorn finishes.
    """
    try:
        set_draining(port, not undo)
    except OSError as error:
        raise click.ClickException(f"the mark cannot be set: {error}") from error
    if not undo:
        click.echo(f"web on port {port}: not ready from now on, serving for another {wait:g} s")
        time.sleep(wait)


def set_draining(port: int, draining: bool) -> None:
    """Set or remove the mark of the instance on this port. Raises OSError."""
    with folder() as own:
        mark = own / f"draining-{port}"
        mark.touch() if draining else mark.unlink(missing_ok=True)


def is_draining(port: int) -> bool:
    """Tell whether the instance on this port is to get no traffic."""
    with suppress(OSError), folder() as own:  # where no mark can be, none is
        return (own / f"draining-{port}").exists()
    return False


def health_alone() -> "Flask":
    """Return an application that has this one command."""
    from flask import Flask  # noqa: PLC0415 - three quarters of the time that the question takes

    app = Flask("health")
    app.cli.add_command(health)
    return app


if __name__ == "__main__":
    health()
