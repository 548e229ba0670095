"""The processes of a drill: started, killed with all their children, started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import config
from config import Settings
from orderapp.errors import OrderAppError
from orderapp.local.children import children
from orderapp.local.pdeathsig import ending_with_parent

# Seconds for the first web process to listen: an import of the application takes one or two, on a busy machine many more.
READY = 60

# Seconds between two looks at it.
LOOK = 0.1

# Characters of a command's last words.
SHOWN = 500

# Under which name commands write to a log.
COMMAND = "commands"

# What nobody needs who rehearses.
LEFT_OUT = {"flower"}


class CastError(OrderAppError):
    """A command of the drill ended badly or a process did not start; the message has its last words."""


class Cast:
    """All of them, from the block's beginning to its end."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], folder: Path) -> None:
        self.port = _free_port()
        self._folder = folder
        # Their notes and files are apart from those of a service that runs here, too.
        own = {**environment, "PORT": str(self.port), "TMPDIR": str(folder)}
        # A file named by NAME_FILE would come before NAME: the processes would work on the real database.
        kept = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in own}
        self._environment = {**kept, **own}
        wanted = children(settings, receives_webhooks=False)
        self._commands = {child.name: child.command for child in wanted if child.name not in LEFT_OUT}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def roles(self) -> list[str]:
        """Return the names of the processes."""
        return sorted(self._commands)

    def __enter__(self) -> Self:
        """Make the tables, start everything, and return when the API listens. Raises CastError."""
        try:
            self.finish(self.command("flask", "db", "upgrade"))
            for role in self._commands:
                self._start(role)
            self._await_listening()
        except BaseException:
            # Whoever entered sees it; no process is left.
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End everything, without a farewell: there is nothing to keep."""
        for role in list(self._running):
            self._end(role)

    def kill(self, role: str) -> None:
        """Kill one with all its children, as a host that dies would, and start it again."""
        self._end(role)
        self._start(role)

    def command(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command of the service beside them; ``finish`` waits for it."""
        return self._popen(COMMAND, [sys.executable, "-m", module, *arguments], subprocess.PIPE)

    def finish(self, command: subprocess.Popen[bytes], accepted: tuple[int, ...] = (0,)) -> str:
        """Return the last line that it printed, when it has ended. Raises CastError unless with an accepted exit code."""
        said = command.communicate()[0].decode(errors="replace").strip()
        if command.returncode not in accepted:
            raise CastError(
                f"a command of the drill ended with {command.returncode}: {said or self.words_of(COMMAND)}"[-SHOWN:]
            )
        return said.splitlines()[-1] if said else ""

    def words_of(self, role: str) -> str:
        """Return what a process, or the commands, have written to their log."""
        return (self._folder / f"{role}.log").read_text(errors="replace").strip()

    def _start(self, role: str) -> None:
        self._running[role] = self._popen(role, self._commands[role], None)

    def _popen(self, name: str, command: list[str], output: int | None) -> subprocess.Popen[bytes]:
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own commands
                ending_with_parent(command, signal.SIGTERM),
                cwd=config.ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is ours: the drill ends them in its own order
            )

    def _end(self, role: str) -> None:
        process = self._running.pop(role)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _await_listening(self) -> None:
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(LOOK)
        raise CastError(f"web does not listen after {READY} s: {self.words_of('web')[-SHOWN:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
