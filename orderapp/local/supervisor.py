"""Keeps the children together: one stops, all stop; and none outlives us, however we end."""

import os
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import Empty
from types import FrameType
from typing import IO, Any

from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Popen, Process

from orderapp.local.children import Child
from orderapp.local.pdeathsig import end_with_parent, ending_with_parent
from orderapp.local.welcome import console

# Lines of a child that died which are shown again at the end.
LAST_LINES = 15

# Seconds for those that do the work, and for those that serve them, from SIGTERM to SIGKILL. A worker on files takes 5 on an
# idle machine, where Celery joins one thread after the other, and 8 on a busy one, where any Python takes 2; a second Ctrl-C
# waits for nobody.
PATIENCE, LAST_PATIENCE = 20, 10

# Seconds between two looks at whether all is ready.
READY_POLL = 0.25


class Supervisor(Manager):  # type: ignore[misc]
    """honcho's Manager, which ends its children in order and remembers why."""

    def __init__(self, children: Sequence[Child], environment: Mapping[str, str], folder: Path, lifeline: IO[str]) -> None:
        """Start nothing yet; every child inherits the lifeline."""
        # The lines say themselves when it was; no colours where the terminal or NO_COLOR forbids them.
        super().__init__(Printer(sys.stdout, time_format="", colour=console.color_system is not None and not console.no_color))
        self._process_ctor = partial(_Process, lifeline=lifeline)
        self._children = {child.name: child for child in children}
        for child in children:
            command = "exec " + shlex.join(ending_with_parent(child.command, signal.SIGTERM))
            self.add_process(child.name, command, env=dict(environment), cwd=str(folder))
        self._lines: dict[str, deque[str]] = {child.name: deque(maxlen=LAST_LINES) for child in children}
        self._told: dict[str, float] = {}
        self._killed: set[str] = set()
        self._asked = 0
        self._next_look = 0.0
        self.not_ready = {child.name for child in children if child.ready_when}
        self.failure: str | None = None

    def run(self, is_ready: Callable[[], bool], fault: Callable[[], str | None]) -> str | None:
        """Run until asked to end (SIGINT, SIGTERM, SIGHUP) or until a child or something else fails; return the failure.

        ``is_ready`` is asked until it says so, and ``fault`` all the time for what else has failed.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self._end_was_asked)
        self._start()
        was_ready = False
        while not (self._all_started() and self._all_stopped()):
            self._take_message()
            self.failure = self.failure or fault()
            if self._asked or self.failure:
                self._end_in_order()
            elif not was_ready and time.monotonic() > self._next_look:
                was_ready = is_ready()
                self._next_look = time.monotonic() + READY_POLL
        return self.failure

    def _end_was_asked(self, _number: int, _frame: FrameType | None) -> None:
        self._asked += 1

    def _take_message(self) -> None:
        try:
            message = self.events.get(timeout=0.1)
        except Empty:
            self._notice_killed_watchers()
            return
        process = self._processes[message.name]
        if message.type == "start":
            process["pid"] = message.data["pid"]
        elif message.type == "stop":
            self._note_end(message.name, message.data["returncode"])
        else:
            line = message.data.decode(errors="replace").rstrip()
            self._lines[message.name].append(line)
            ready_when = self._children[message.name].ready_when
            if ready_when and ready_when in line:
                self.not_ready.discard(message.name)
            self._printer.write(message)

    def _note_end(self, name: str, code: int) -> None:
        self._processes[name]["returncode"] = code
        if not self._asked and not self.failure:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            last = "\n".join(f"  {line}" for line in self._lines[name])
            self.failure = f"{name} {how}" + (f"; its last lines:\n{last}" if last else " and said nothing")
            self._system_print(f"{name} {how}, so everything stops\n")

    def _notice_killed_watchers(self) -> None:
        """Each child has a process of honcho's that reads its lines; killed, it cannot tell us that the child ended."""
        for name, process in self._processes.items():
            if "returncode" not in process and process["process"].exitcode is not None:
                process.setdefault("pid", process["process"].pid)
                self._note_end(name, process["process"].exitcode)

    def _end_in_order(self) -> None:
        """Tell those that work to end, then those that serve them; kill who takes too long, all after a second Ctrl-C."""
        alive = [name for name, process in self._processes.items() if "returncode" not in process]
        first = [name for name in alive if not self._children[name].ends_last]
        patience = PATIENCE if first else LAST_PATIENCE
        for name in first or alive:
            pid, now = self._processes[name].get("pid"), time.monotonic()
            if pid is None:
                continue
            if name not in self._told:
                self._told[name] = now
                # Only the first process of a group: it ends its own children when they have finished.
                _send(os.kill, pid, signal.SIGTERM)
            if (now > self._told[name] + patience or self._asked > 1) and name not in self._killed:
                self._killed.add(name)
                self._system_print(f"{name} does not end and is killed\n")
                _send(os.killpg, pid, signal.SIGKILL)


class _Process(Process):  # type: ignore[misc]
    """honcho's process around a child, which ends with us and takes the child with it."""

    def __init__(self, *arguments: Any, lifeline: IO[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._child_ctor = partial(Popen, pass_fds=(lifeline.fileno(),))

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        end_with_parent(signal.SIGKILL)
        super().run(events, ignore_signals)


def _send(how: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    try:
        how(pid, number)
    except ProcessLookupError:
        return  # it has just ended by itself
