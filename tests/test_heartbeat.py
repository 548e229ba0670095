"""Heartbeats: a live process is alive whatever it waits for, a dead or stuck one is not."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import config
import heartbeat
from heartbeat import PERIOD, Heart, health, notes
from tests.servers.environment import NOBODY
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until

# Nobody listens there: a connection is refused at once.
AWAY = {"DATABASE_URL": "postgresql://x:y@127.0.0.1:9/x", "CELERY_BROKER_URL": NOBODY}

# Seconds: two notes long.
SILENCE = 2

# Seconds for an import of the application, and for what happens within a few of the loop's rounds.
START, SOON = 60, 20


@pytest.fixture(autouse=True)
def notes_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this test, and the processes that it starts, a folder of their own for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"orderapp-{os.getuid()}"


def asked(*arguments: str) -> Result:
    """Ask ``flask health``."""
    return CliRunner().invoke(health, list(arguments))


def is_alive(*arguments: str) -> bool:
    """Tell what ``flask health`` says, of a silence of SILENCE seconds."""
    return asked(*arguments, "--within", str(SILENCE)).exit_code == 0


def test_a_live_relay_is_alive_a_stopped_one_stuck_and_a_killed_one_dead(processes: Processes) -> None:
    """As an operator meets them."""
    relay = processes.relay().wait_ready()
    wait_until(lambda: is_alive("relay"), SOON, "a live relay")
    assert asked("relay").output.startswith("relay: alive, last loop ")

    relay.kill(signal.SIGSTOP)
    wait_until(lambda: not is_alive("relay"), SOON, "a silence")
    assert "relay: stuck, last loop" in asked("relay", "--within", str(SILENCE)).output
    relay.kill(signal.SIGCONT)
    wait_until(lambda: is_alive("relay"), SOON, "a relay that goes on")

    relay.kill()
    answer = asked("relay")
    assert (answer.exit_code, "relay: dead, process" in answer.output) == (1, True)


def test_the_next_process_takes_the_place_of_a_dead_one_and_an_orderly_end_leaves_nothing() -> None:
    """A restart heals what was reported; what was stopped on purpose is no fault, but it does not run either."""
    killed, ended = "os.kill(os.getpid(), 9)", "sys.exit()"
    for name, end, left in (("a", killed, {"a"}), ("b", killed, {"a", "b"}), ("a", ended, {"b"}), ("b", ended, set())):
        script = f"import heartbeat, os, sys; heartbeat.Heart('worker', '{name}').beat(); {end}"
        subprocess.run([sys.executable, "-c", script], cwd=config.ROOT, check=False)
        assert {note.name for note in notes("worker")} == left
    answer = asked("worker")
    assert answer.exit_code == 1
    assert answer.output == "worker: none runs here as this user. Start it: celery -A celery_worker worker\n"


def test_who_waits_for_a_database_or_broker_that_is_away_is_alive(processes: Processes) -> None:
    """Started in the middle of an outage, and for as long as it lasts: notes keep coming."""
    started = {"relay": processes.relay(**AWAY), "worker": processes.worker(**AWAY), "beat": processes.beat(**AWAY)}
    for kind, process in started.items():
        process.wait_for_line("database unreachable|Connection error|Cannot connect to")
        wait_until(lambda kind=kind: notes(kind), START, "a first note")
        first = notes(kind)[0].at
        wait_until(lambda kind=kind, first=first: notes(kind)[0].at > first + 2 * PERIOD, SOON, "two more notes")
        assert asked(kind).exit_code == 0


@pytest.mark.usefixtures("broker")
def test_of_two_workers_the_dead_one_is_told_by_name(processes: Processes, tmp_path: Path) -> None:
    """One has an event loop, the other, with the file broker, has none."""
    orders = processes.worker("-n", "orders@%h", concurrency=1)
    processes.worker("-n", "webhooks@%h", concurrency=1, CELERY_BROKER_URL=f"filesystem://{tmp_path / 'files'}").wait_ready()
    orders.wait_ready()
    wait_until(lambda: len(notes("worker")) == 2, SOON, "two workers")
    first = {note.name: note.at for note in notes("worker")}
    assert first.keys() == {f"{name}@{os.uname().nodename}" for name in ("orders", "webhooks")}
    wait_until(lambda: all(note.at > first[note.name] + 2 * PERIOD for note in notes("worker")), SOON, "two more notes of each")

    os.kill(orders.pid, signal.SIGKILL)
    wait_until(lambda: asked("worker", "--name", "orders").exit_code, SOON, "a dead worker")
    assert f"worker orders@{os.uname().nodename}: dead" in asked("worker", "--name", f"orders@{os.uname().nodename}").output
    assert asked("worker", "--name", "webhooks").exit_code == 0
    assert asked("worker").exit_code == 1
    assert "worker nobody: none runs here" in asked("worker", "--name", "nobody").output


def test_a_child_that_outlives_the_process_does_not_keep_it_alive(notes_apart: Path) -> None:
    """Neither by the lock nor by the farewell: a fork inherits both."""
    script = (
        "import heartbeat, os, sys; heart = heartbeat.Heart('beat'); heart.beat()\n"
        "if os.fork() == 0: sys.exit()\n"
        "os.wait(); print(len(heartbeat.notes('beat'))); sys.stdout.flush()\n"
        "if os.fork() == 0: sys.stdin.read(); os._exit(0)\n"
        "os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=config.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.wait(SOON) == -signal.SIGKILL
        assert len(list(notes_apart.glob("beat-*"))) == 1
        assert "dead" in asked("beat").output
        process.communicate("")


@pytest.mark.parametrize("fault", ["no folder", "somebody else's folder", "a link"])
def test_a_process_that_cannot_keep_notes_goes_on_and_is_not_called_alive(
    notes_apart: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """What watches must not end what it watches; and nobody else's notes are believed."""
    if fault == "no folder":
        notes_apart.write_text("in the way")
    elif fault == "a link":
        notes_apart.symlink_to("/")
    else:
        notes_apart.mkdir()
        notes_apart.chmod(0o777)
    heart = Heart("relay")
    monkeypatch.setattr(heartbeat, "PERIOD", 0)
    heart.beat()
    heart.beat()
    assert len(caplog.records) == 1
    answer = asked("relay")
    assert (answer.exit_code, "heartbeats cannot be read" in answer.output) == (1, True)


def test_the_question_costs_no_import_of_the_application() -> None:
    """A health check every few seconds must not take a second of processor time; nor does it need a setting."""
    script = (
        "import runpy, sys; sys.argv = ['flask', 'health', 'relay']\n"
        "try: runpy.run_module('flask', run_name='__main__')\n"
        "except SystemExit as end: print(end.code)\n"
        "print(sorted({'orderapp', 'config', 'celery', 'sqlalchemy', 'requests'} & set(sys.modules)))"
    )
    environment = {**os.environ, "DATABASE_URL": "no such thing"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=config.ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-2:] == ["1", "[]"], done.stderr


def test_containers_ask_the_same_question_with_less() -> None:
    """The file by itself is the command: same words, same exit code, without Flask."""
    command = [sys.executable, "-X", "importtime", "heartbeat.py", "relay"]
    done = subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, asked("relay").output)
    assert "click" in done.stderr
    assert "flask" not in done.stderr
