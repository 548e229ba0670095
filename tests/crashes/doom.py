"""Processes that end by SIGKILL at a chosen point, once, from inside."""

import re
from pathlib import Path

import requests

from tests.servers.processes import Process, Processes
from tests.servers.waiting import free_port, wait_until

ENTRY = "tests.crashes.entry"

# Seconds from the start of a doomed process to its end.
STRIKE = 40


class Doom:
    """Starts the processes of one test from the entry module; ends them with the test."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        """Have a marker that does not exist yet."""
        self._processes = processes
        self._marker = folder / "struck"
        self.started: list[Process] = []

    def web(self, point: str) -> Process:
        """Start gunicorn; one of its workers will die."""
        port = str(free_port())
        process = self._start("web", point, "gunicorn", f"{ENTRY}:app", "--bind", f"127.0.0.1:{port}", PORT=port)
        process.url = f"http://127.0.0.1:{port}"
        process._ready = lambda: _answers(process.url)
        return process

    def relay(self, point: str) -> Process:
        """Start a relay that will die."""
        return self._start("relay", point, "flask", "--app", ENTRY, "outbox", "relay")

    def worker(self, point: str = "", queues: str = "orders,webhooks,maintenance", **environment: str) -> Process:
        """Start a worker whose one pool process will die; its first process replaces it."""
        argv = [
            "celery",
            "-A",
            f"{ENTRY}:celery",
            "worker",
            "-n",
            f"doomed{len(self._processes.started)}@%h",
            "-c",
            "1",
            "-Q",
            queues,
        ]
        process = self._start("worker", point, *argv, "--without-gossip", "--without-mingle", "-l", "INFO", **environment)
        process._ready = lambda: re.search(r"@\S+ ready\.", process.text) is not None
        return process

    def wait(self) -> None:
        """Return when a process has come to the point and ended there."""
        wait_until(self._marker.exists, STRIKE, "the kill")

    def end(self) -> None:
        """Let the next test begin without these."""
        for process in self.started:
            process.kill()

    def _start(self, name: str, point: str, program: str, *arguments: str, **environment: str) -> Process:
        plan = {"KILL_POINT": point, "KILL_MARKER": str(self._marker)} if point else {}
        process = self._processes.start(name, program, *arguments, **plan, **environment)
        self.started.append(process)
        return process


def _answers(url: str) -> bool:
    try:
        requests.get(f"{url}/health/live/", timeout=2)
    except requests.RequestException:
        return False
    return True
