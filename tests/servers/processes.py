"""The product's own processes, started as an operator starts them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import pytest
import requests

from tests.servers import children
from tests.servers.waiting import free_port, wait_until

# Seconds. An import of the whole application takes 1 to 2; on two busy cores several processes do it at once.
READY = 60

# Seconds that an orderly stop may take: a worker waits up to 12 for its running tasks.
STOP = 20

PROGRAMS = Path(sys.executable).parent

# Where Celery finds the application.
APPLICATION = "celery_worker"


class Process:
    """One started command with all its children."""

    def __init__(self, name: str, argv: list[str], environment: Mapping[str, str], output: Path) -> None:
        """Start it."""
        self.name = name
        self.output = output
        self.url = self.metrics_url = ""
        self._ready: Callable[[], bool] = lambda: True
        self._popen: subprocess.Popen[bytes] = children.spawn(argv, environment, output)

    @property
    def pid(self) -> int:
        """Return the number of the first process."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """Return what the first process ended with; None while it runs, negative for a signal."""
        return self._popen.poll()

    @property
    def children(self) -> list[int]:
        """Return the live processes below the first, oldest first: gunicorn's or Celery's workers."""
        return [pid for pid in children.family(self.pid) if pid != self.pid]

    @property
    def text(self) -> str:
        """Return all that it has printed so far."""
        return self.output.read_text(errors="replace")

    def wait_ready(self, seconds: float = READY) -> Self:
        """Return when it serves. Raises AssertionError with its last words when it ends or does not get there."""
        try:
            wait_until(lambda: self._ready() or self.exit_code is not None, seconds, f"the {self.name} to be ready")
            assert self.exit_code is None, f"the {self.name} ended with {self.exit_code}"
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{children.tail(self.output)}") from None
        return self

    def wait_for_line(self, pattern: str, seconds: float = READY) -> Self:
        """Return when a line of the output matches the regular expression."""
        wait_until(lambda: re.search(pattern, self.text), seconds, f"{pattern!r} from the {self.name}")
        return self

    @property
    def metrics(self) -> dict[str, float]:
        """Return what it and its children have counted, by name and labels."""
        answer = requests.get(self.metrics_url, timeout=READY)
        assert answer.status_code == 200, answer.text
        lines = (line for line in answer.text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def kill(self, number: signal.Signals = signal.SIGKILL, pid: int | None = None) -> None:
        """Send a signal to the whole family, or to one process of it. After SIGKILL of the family nothing is left."""
        if pid is not None:
            os.kill(pid, number)
        elif number == signal.SIGKILL:
            children.end_family(self._popen)
        else:
            children.signal_family(self.pid, number)

    def stop(self, seconds: float = STOP) -> int:
        """Ask it to end, as an operator does, and return its exit code; nothing of the family is left."""
        if self.exit_code is None:
            self._popen.terminate()
            wait_until(lambda: self.exit_code is not None, seconds, f"the {self.name} to stop")
        children.end_family(self._popen)
        return self._popen.wait()


class Processes:
    """Starts the product's processes with one environment; ends them all."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        """Remember the environment (added to this process's own) and the folder for output."""
        self.environment = dict(environment)
        self.started: list[Process] = []
        self._folder = folder

    def web(self, *options: str, **environment: str) -> Process:
        """Start gunicorn on a free port; ``.url`` is where it listens."""
        port = environment.setdefault("PORT", str(free_port()))
        process = self.start("web", "gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{port}", *options, **environment)
        process.url = f"http://127.0.0.1:{port}"
        process.metrics_url = f"{process.url}/metrics"
        process._ready = lambda: _answers(process.url)
        return process

    def relay(self, *options: str, **environment: str) -> Process:
        """Start a relay; several may run side by side."""
        process = self.start("relay", "flask", "outbox", "relay", *options, **environment)
        process._ready = lambda: "relay started" in process.text
        return process

    def worker(
        self, *options: str, concurrency: int = 2, queues: str = "", application: str = APPLICATION, **environment: str
    ) -> Process:
        """Start a Celery worker for all queues, or for the comma-separated ones named."""
        name = f"worker{len(self.started)}@%h"
        argv = ["worker", "-n", name, "-c", str(concurrency), "--without-gossip", "--without-mingle", "-l", "INFO"]
        argv += ["-Q", queues] if queues else []
        process = self.start("worker", "celery", "-A", application, *argv, *options, **environment)
        process._ready = lambda: re.search(r"@\S+ ready\.", process.text) is not None
        return process

    def beat(self, *options: str, **environment: str) -> Process:
        """Start beat."""
        process = self.start("beat", "celery", "-A", APPLICATION, "beat", "-l", "INFO", *options, **environment)
        process._ready = lambda: "maxinterval" in process.text  # the last line of its banner
        return process

    def start(self, name: str, program: str, *arguments: str, **environment: str) -> Process:
        """Start any program of the virtual environment."""
        number = sum(one.name.startswith(name) for one in self.started) + 1
        own_name = name if number == 1 else f"{name}{number}"
        everything = {**os.environ, "PYTHONUNBUFFERED": "1", **self.environment, **environment}
        argv = [str(PROGRAMS / program), *arguments]
        process = Process(own_name, argv, everything, self._folder / f"{own_name}.output")
        process.metrics_url = f"http://{everything.get('METRICS_LISTEN')}/metrics"
        self.started.append(process)
        return process

    def end(self) -> None:
        """Kill whatever still runs."""
        for process in self.started:
            process.kill()

    def reports(self) -> list[tuple[str, str]]:
        """Return the name and the last output of each process, for the report of a failed test."""
        return [(f"{one.name} (pid {one.pid}, exit code {one.exit_code})", children.tail(one.output)) for one in self.started]


# Where a test keeps its processes for the report.
PROCESSES = pytest.StashKey[Processes]()


def _answers(url: str) -> bool:
    try:
        requests.get(f"{url}/health/live/", timeout=2)
    except requests.RequestException:
        return False
    return True
