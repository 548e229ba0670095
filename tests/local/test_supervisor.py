"""The supervisor, with children that stand in for the service's: shell scripts of one line."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .processes import eventually, is_gone

DRIVER = """
import fcntl, json, multiprocessing, os, sys
from pathlib import Path
from orderapp.local import supervisor as module
from orderapp.local.children import Child
multiprocessing.set_start_method("fork")
folder = Path(sys.argv[1])
module.PATIENCE = module.LAST_PATIENCE = float(sys.argv[3])
lifeline = (folder / "lifeline").open("w")
fcntl.flock(lifeline, fcntl.LOCK_EX)
supervisor = module.Supervisor([Child(**child) for child in json.loads(sys.argv[2])], os.environ, folder, lifeline)

def is_ready():
    if not supervisor.not_ready:
        print("ALL READY", flush=True)
    return not supervisor.not_ready

def fault():
    return (folder / "fault").read_text() if (folder / "fault").exists() else None

print("FAILURE:", supervisor.run(is_ready, fault))
"""

# Runs until asked to end, and says goodbye.
LIVES = "trap 'echo goodbye; exit 0' TERM; echo up $$; while :; do sleep 0.05; done"

# Does not listen.
STUBBORN = "trap '' TERM; echo up $$; while :; do sleep 0.05; done"

Start = Callable[..., "Driven"]


class Driven:
    """A supervisor in a process of its own, and what it has printed so far."""

    def __init__(self, folder: Path, children: list[dict[str, Any]], patience: float, **options: Any) -> None:
        self.output = folder / "output"
        words = [sys.executable, "-c", DRIVER, str(folder), json.dumps(children), str(patience)]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, **options)

    @property
    def text(self) -> str:
        """Return everything printed."""
        return self.output.read_text(errors="backslashreplace")

    def says(self, text: str) -> bool:
        """Wait for a text."""
        return eventually(lambda: text in self.text)

    def send(self, number: signal.Signals) -> None:
        """Ask it something."""
        self.process.send_signal(number)

    def ends(self) -> str:
        """Wait for its end; everything printed."""
        self.process.wait(60)
        return self.text

    def pids(self) -> list[int]:
        """Return the children that have said who they are."""
        return [int(line.split()[-1]) for line in self.text.splitlines() if "| up " in line]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give a starter: ``start(web=LIVES)``; what it started does not outlive the test."""
    started: list[Driven] = []

    def begin(*, patience: float = 30, settings: dict[str, Any] | None = None, **scripts: str) -> Driven:
        of_child: dict[str, Any] = settings or {}
        children = [
            {"name": name, "command": ["sh", "-c", script], **of_child.get(name, {})} for name, script in scripts.items()
        ]
        started.append(Driven(tmp_path, children, patience, **of_child.get("popen", {})))
        return started[-1]

    yield begin
    for driven in started:
        driven.process.kill()
        driven.process.wait()


def test_every_line_tells_whose_it_is(start: Start) -> None:
    """Names are as wide as the longest."""
    driven = start(web=f"echo hello; echo world >&2; {LIVES}", receiver=LIVES)
    assert driven.says("receiver | up")
    assert driven.says(" web      | hello\n web      | world\n web      | up")
    driven.send(signal.SIGTERM)
    driven.ends()


def test_bytes_that_are_no_text_are_shown_all_the_same(start: Start) -> None:
    """A child may print anything."""
    driven = start(web=rf"printf '\377\376 odd\n'; {LIVES}")
    assert driven.says("odd")
    driven.send(signal.SIGTERM)
    assert "FAILURE: None" in driven.ends()


def test_all_is_ready_once_every_child_has_said_so(start: Start, tmp_path: Path) -> None:
    """Not before: a worker that still connects takes no order."""
    slow = f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo worker@host ready.; {LIVES}"
    driven = start(web=LIVES, worker=slow, settings={"worker": {"ready_when": " ready."}})
    assert driven.says("web    | up")
    assert "ALL READY" not in driven.text
    (tmp_path / "go").touch()
    assert driven.says("ALL READY")
    driven.send(signal.SIGTERM)
    driven.ends()


def test_a_child_that_dies_is_named_with_its_last_lines_and_all_stop(start: Start) -> None:
    """Fifteen lines, its exit code, and nobody left."""
    driven = start(web=LIVES, worker="i=1; while [ $i -le 40 ]; do echo line $i; i=$((i+1)); done; sleep 0.3; exit 3")
    output = driven.ends()
    last = "".join(f"\n  line {number}" for number in range(26, 41))
    assert output.endswith(f"FAILURE: worker ended with exit code 3; its last lines:{last}\n")
    assert "system | worker ended with exit code 3, so everything stops" in output
    assert "web    | goodbye" in output
    assert all(is_gone(pid) for pid in driven.pids())


def test_a_child_that_was_killed_is_named_with_the_signal(start: Start) -> None:
    """The kernel's own kill when memory runs out, for one."""
    driven = start(web=LIVES, worker=LIVES)
    assert driven.says("worker | up")
    worker = next(int(line.split()[-1]) for line in driven.text.splitlines() if "worker | up" in line)
    os.kill(worker, signal.SIGKILL)
    assert "FAILURE: worker was killed by SIGKILL; its last lines:\n  up" in driven.ends()


def test_a_child_that_ends_well_but_uninvited_is_a_failure_too(start: Start) -> None:
    """A service never ends by itself."""
    assert "FAILURE: beat ended with exit code 0 and said nothing" in start(web=LIVES, beat="exit 0").ends()


def test_a_command_that_does_not_exist_is_a_failure(start: Start) -> None:
    """Its last line is the shell's."""
    output = start(web="exec /no/such/program").ends()
    assert "FAILURE: web ended with exit code 127; its last lines:" in output
    assert "/no/such/program" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_all_end_and_nothing_failed(start: Start, number: signal.Signals) -> None:
    """Ctrl-C, kill, and a terminal that is closed."""
    driven = start(web=LIVES, worker=LIVES)
    assert eventually(lambda: len(driven.pids()) == 2)
    driven.send(number)
    output = driven.ends()
    assert output.count("goodbye") == 2
    assert output.endswith("FAILURE: None\n")
    assert all(is_gone(pid) for pid in driven.pids())


def test_those_that_serve_the_others_end_last(start: Start) -> None:
    """A worker's last webhook still finds the receiver."""
    slow = "trap 'sleep 0.5; echo goodbye; exit 0' TERM; echo up $$; while :; do sleep 0.05; done"
    driven = start(receiver=LIVES, worker=slow, settings={"receiver": {"ends_last": True}})
    assert eventually(lambda: len(driven.pids()) == 2)
    driven.send(signal.SIGINT)
    lines = [line.strip() for line in driven.ends().splitlines() if "goodbye" in line]
    assert lines == ["worker   | goodbye", "receiver | goodbye"]


def test_only_the_first_process_of_a_child_is_told_to_end(start: Start) -> None:
    """A Celery worker ends its pool itself, when the tasks are done: told directly, they would be lost."""
    pool = "(trap 'echo interrupted' TERM; sleep 0.7; echo finished) & trap 'wait; exit 0' TERM; echo up $$; wait; wait"
    driven = start(worker=pool)
    assert driven.says("worker | up")
    driven.send(signal.SIGTERM)
    output = driven.ends()
    assert "finished" in output
    assert "interrupted" not in output


def test_a_child_that_does_not_listen_is_killed_with_its_own(start: Start) -> None:
    """After its patience, and the one that serves it after that."""
    its_own = "sh -c 'trap \"\" TERM; exec sleep 600' & echo up $!"
    last = {"flower": {"ends_last": True}}
    driven = start(worker=f"{its_own}; {STUBBORN}", flower=STUBBORN, patience=0.3, settings=last)
    assert eventually(lambda: len(driven.pids()) == 3)
    driven.send(signal.SIGTERM)
    output = driven.ends()
    assert [line for line in output.splitlines() if "killed" in line] == [
        " system | worker does not end and is killed",
        " system | flower does not end and is killed",
    ]
    assert output.endswith("FAILURE: None\n")
    assert eventually(lambda: all(is_gone(pid) for pid in driven.pids()))


def test_a_second_ctrl_c_does_not_wait(start: Start) -> None:
    """Who presses it twice means it."""
    driven = start(worker=STUBBORN, patience=60)
    assert driven.says("worker | up")
    driven.send(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        driven.process.wait(0.5)
    driven.send(signal.SIGINT)
    assert "worker does not end and is killed" in driven.ends()


def test_something_else_that_fails_stops_all(start: Start, tmp_path: Path) -> None:
    """The database is no child of the supervisor's."""
    driven = start(web=LIVES)
    assert driven.says("web    | up")
    (tmp_path / "fault").write_text("the database ended")
    output = driven.ends()
    assert "goodbye" in output
    assert output.endswith("FAILURE: the database ended\n")


def test_killed_itself_it_takes_the_children_along(start: Start, tmp_path: Path) -> None:
    """The kernel tells them; the lifeline is free when the last is gone."""
    driven = start(web=LIVES, worker=LIVES)
    assert eventually(lambda: len(driven.pids()) == 2)
    with (tmp_path / "lifeline").open() as lifeline:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lifeline, fcntl.LOCK_EX | fcntl.LOCK_NB)
        driven.process.kill()
        driven.process.wait()
        assert eventually(lambda: all(is_gone(pid) for pid in driven.pids()))

        def is_free() -> bool:
            try:
                fcntl.flock(lifeline, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        assert eventually(is_free)


def test_the_lifeline_is_held_as_long_as_one_child_lives(start: Start, tmp_path: Path) -> None:
    """A child that takes its time to end is known to the next start."""
    driven = start(worker=STUBBORN)
    assert driven.says("worker | up")
    driven.process.kill()
    driven.process.wait()
    with (tmp_path / "lifeline").open() as lifeline:
        assert not eventually(lambda: is_gone(driven.pids()[0]), within=0.5)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lifeline, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.killpg(driven.pids()[0], signal.SIGKILL)


def test_a_killed_reader_of_lines_is_noticed(start: Start) -> None:
    """Honcho reads each child's lines in a process: without it the child would be lost from sight."""
    driven = start(web=LIVES, worker=LIVES)
    assert eventually(lambda: len(driven.pids()) == 2)
    reader = int(Path(f"/proc/{driven.pids()[0]}/stat").read_text().rpartition(")")[2].split()[1])
    assert reader != driven.process.pid
    os.kill(reader, signal.SIGKILL)
    assert "was killed by SIGKILL" in driven.ends().rpartition("FAILURE:")[2]
    assert eventually(lambda: all(is_gone(pid) for pid in driven.pids()))


def test_under_nohup_a_closed_terminal_changes_nothing(start: Start) -> None:
    """That is what nohup is for."""
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    driven = start(web=LIVES, settings={"popen": ignoring})
    assert driven.says("web    | up")
    driven.send(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        driven.process.wait(0.5)
    driven.send(signal.SIGTERM)
    assert driven.ends().endswith("FAILURE: None\n")
