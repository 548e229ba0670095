"""The folder in which the processes of one service count together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import config

OWN = f"orderapp-{os.getuid()}"


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """Return what stands for the machine's shared memory."""
    return tmp_path


def service(memory: Path, script: str) -> "subprocess.Popen[str]":
    """Start a process that gathers and then runs the script."""
    code = f"import os, sys, tally; tally.MEMORY = {str(memory)!r}; tally.gather(); {script}"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=config.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def folders(memory: Path) -> list[Path]:
    """Return the folders that are there."""
    return sorted((memory / OWN).glob("metrics-*"))


SHOW = "print(os.environ[tally.VARIABLE], flush=True)"


def test_each_service_has_a_folder_of_its_own_and_leaves_none(memory: Path) -> None:
    """Two on one machine must not count into each other."""
    first, second = (service(memory, f"{SHOW}; sys.stdin.read()") for _ in range(2))
    named = {first.stdout.readline().strip(), second.stdout.readline().strip()}  # type: ignore[union-attr]
    assert named == set(map(str, folders(memory)))
    assert len(named) == 2
    for process in (first, second):
        process.communicate("")
    assert folders(memory) == []


def test_what_a_killed_service_left_is_removed_by_the_next_one_and_nobody_elses(memory: Path) -> None:
    """After a thousand kills there is one folder. A child that outlives its service does not keep its folder."""
    living = service(memory, f"{SHOW}; sys.stdin.read()")
    kept = living.stdout.readline().strip()  # type: ignore[union-attr]
    killed = service(memory, f"{SHOW}; os.fork() or (sys.stdin.read(), os._exit(0)); os.kill(os.getpid(), 9)")
    left = killed.stdout.readline().strip()  # type: ignore[union-attr]
    assert killed.wait() == -9
    assert set(map(str, folders(memory))) == {kept, left}

    service(memory, "").communicate()
    assert list(map(str, folders(memory))) == [kept]
    killed.communicate("")
    living.communicate("")


def test_a_child_removes_nothing_at_its_end(memory: Path) -> None:
    """It runs its parent's farewells, too."""
    script = "os.fork() or sys.exit(); os.wait(); print(os.path.isdir(os.environ[tally.VARIABLE]))"
    assert service(memory, script).communicate()[0] == "True\n"


def test_without_a_place_for_it_everybody_counts_alone(memory: Path) -> None:
    """Metrics are no reason not to serve."""
    (memory / OWN).write_text("in the way")
    process = service(memory, "print(tally.VARIABLE in os.environ)")
    assert (process.communicate()[0], process.returncode) == ("False\n", 0)
