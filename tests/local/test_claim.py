"""One stack per checkout, and what the next start waits for."""

import fcntl
import subprocess
import threading
from pathlib import Path

import config
from orderapp.local import claim
from orderapp.local.claim import Lifeline, StackFile


def test_who_holds_the_file_is_the_stack_that_others_join(tmp_path: Path) -> None:
    """The URLs are believed as long as it is held."""
    path = tmp_path / "var" / "stack.json"
    first = StackFile(path)
    assert first.claim()
    first.tell({"DATABASE_URL": "postgresql:///x"})
    assert config.running_stack(path) == {"DATABASE_URL": "postgresql:///x"}
    assert not StackFile(path).claim()
    assert first._file
    first._file.close()
    assert config.running_stack(path) == {}
    assert StackFile(path).claim()


def test_the_file_is_for_its_owner(tmp_path: Path) -> None:
    """A URL may carry a password."""
    StackFile(tmp_path / "stack.json").claim()
    assert (tmp_path / "stack.json").stat().st_mode & 0o777 == 0o600


def test_a_new_stack_forgets_what_the_last_one_told(tmp_path: Path) -> None:
    """Before its database is up nobody can join it."""
    path = tmp_path / "stack.json"
    path.write_text('{"DATABASE_URL": "postgresql:///old", "more": "than the new one writes"}')
    stack = StackFile(path)
    assert stack.claim()
    assert config.running_stack(path) == {}
    stack.tell({"A": "b"})
    assert config.running_stack(path) == {"A": "b"}


def test_a_command_that_only_looks_is_not_taken_for_a_stack(tmp_path: Path) -> None:
    """Every flask command holds the file for a moment, shared."""
    path = tmp_path / "stack.json"
    path.touch()
    looking = path.open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.15, looking.close).start()
    assert StackFile(path).claim()


def test_the_lifeline_waits_for_a_process_of_an_earlier_run(tmp_path: Path) -> None:
    """It is the process that holds it, not the one that started it."""
    earlier = Lifeline(tmp_path / "lock")
    assert earlier.is_free()
    descriptor = earlier.file.fileno()
    child = subprocess.Popen(["sleep", "600"], pass_fds=(descriptor,))
    earlier.file.close()
    later = Lifeline(tmp_path / "lock")
    assert not later.is_free()
    assert not later.await_free(0.2)
    threading.Timer(0.2, child.kill).start()
    assert later.await_free(10)
    child.wait()


def test_the_pauses_are_short_enough_to_go_unnoticed() -> None:
    """Somebody who starts a second stack hears of it within a second."""
    assert claim.TRIES * claim.PAUSE < 1
