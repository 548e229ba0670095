"""Processes that fail at a chosen failpoint, once: by SIGKILL unless told otherwise."""

from pathlib import Path

from tests.servers.processes import Process, Processes
from tests.servers.waiting import wait_until

ENTRY = "tests.crashes.entry"

ALL = "orders,webhooks,maintenance"

# Seconds from the start of a doomed process to its failure.
STRIKE = 40


class Doom:
    """Starts the processes of one test with a failpoint armed; ends them with the test."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        """Have a record of passages that is empty."""
        self._processes = processes
        self._record = folder / "passages"
        self._point = ""
        self.started: list[Process] = []

    def web(self, point: str, action: str = "kill") -> Process:
        """Start gunicorn; one of its workers will fail."""
        return self._add(self._processes.web(**self._armed(point, action)))

    def relay(self, point: str, action: str = "kill") -> Process:
        """Start a relay that will fail."""
        return self._add(self._processes.relay(**self._armed(point, action)))

    def worker(
        self, point: str = "", action: str = "kill", queues: str = ALL, *, always: bool = False, **environment: str
    ) -> Process:
        """Start a worker with one pool process, which will fail; when it dies the worker's first process replaces it."""
        environment |= self._armed(point, action, "@1+" if always else "@1")
        return self._add(self._processes.worker(concurrency=1, queues=queues, application=f"{ENTRY}:celery", **environment))

    def wait(self) -> None:
        """Return when a process has come to the point."""
        wait_until(lambda: self._record.exists() and self._point in self._record.read_text().split(), STRIKE, self._point)

    def end(self) -> None:
        """Let the next test begin without these."""
        for process in self.started:
            process.kill()

    def _armed(self, point: str, action: str, when: str = "@1") -> dict[str, str]:
        if not point:
            return {}
        self._point = point
        return {"FAILPOINTS": f"{self._record} {point}={action}{when}"}

    def _add(self, process: Process) -> Process:
        self.started.append(process)
        return process
