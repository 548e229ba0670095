"""The product's processes under test: ready when they say so, killable as a family, never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.servers import children
from tests.servers.environment import NOBODY
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until

A_PARENT_WITH_A_CHILD = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(600)"])
time.sleep(600)
"""


def _spawn(folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    output = folder / "output"
    process = children.spawn([sys.executable, "-c", A_PARENT_WITH_A_CHILD], os.environ, output)
    wait_until(lambda: "child" in children.tail(output), 30, "the grandchild")
    return process, output


def test_a_family_is_the_process_and_its_children(tmp_path: Path) -> None:
    """The kill of a worker means the pool below it too."""
    process, _ = _spawn(tmp_path)
    assert len(children.family(process.pid)) == 2
    children.end_family(process)
    assert children.family(process.pid) == []


def test_a_child_that_outlived_its_parent_is_ended_too(tmp_path: Path) -> None:
    """A SIGKILLed master leaves children; the end of the test does not."""
    process, _ = _spawn(tmp_path)
    process.kill()
    process.wait()
    assert len(children.family(process.pid)) == 1
    children.end_family(process)
    assert children.family(process.pid) == []


def test_processes_end_when_the_test_run_is_killed(tmp_path: Path) -> None:
    """Not even SIGKILL of pytest leaves a server behind."""
    code = f"""
import os, signal
from pathlib import Path
from tests.servers import children, waiting
process = children.spawn(["sleep", "600"], os.environ, Path({str(tmp_path)!r}) / "output")
waiting.wait_until(lambda: Path(f"/proc/{{process.pid}}/comm").read_text() == "sleep\\n", 10, "the sleep")
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    wait_until(lambda: not children.family(int(done.stdout)), 10, "the end of the orphan")


def test_a_process_that_does_not_start_shows_why(tmp_path: Path) -> None:
    """The reader of a red test sees the last words of the process, not only that it took too long."""
    started = Processes({"DATABASE_URL": "postgresql://127.0.0.1:9/x", "CELERY_BROKER_URL": NOBODY}, tmp_path)
    with pytest.raises(AssertionError, match=r"the relay ended with 1:(.|\n)*CURRENCY"):
        started.relay(CURRENCY="euro").wait_ready()
    assert [(name.split()[0], "CURRENCY" in text) for name, text in started.reports()] == [("relay", True)]


@pytest.mark.proof
def test_the_web_process_serves_and_stops_when_asked(processes: Processes) -> None:
    """Gunicorn with its workers, started by the command of the contract."""
    web = processes.web("--workers", "1").wait_ready()
    assert requests.get(f"{web.url}/health/live/", timeout=10).status_code == 200
    assert len(web.children) == 1
    assert web.stop() == 0
    assert children.family(web.pid) == []


@pytest.mark.proof
@pytest.mark.usefixtures("broker")
def test_the_relay_a_worker_and_beat_start_and_stop_when_asked(processes: Processes) -> None:
    """All three say that they are ready, and obey SIGTERM."""
    started = [processes.relay(), processes.worker(concurrency=1), processes.beat()]
    for process in started:
        process.wait_ready()
    assert len(started[1].children) == 1
    assert [process.stop() for process in started] == [0, 0, 0]
