"""Children that end with their parent, also when it is killed."""

import signal
import subprocess
import sys

import pytest

from orderapp.local import pdeathsig

from .processes import eventually, is_gone

PARENT = """
import signal, subprocess, sys, time
from orderapp.local.pdeathsig import ending_with_parent
child = subprocess.Popen(ending_with_parent(["sleep", "600"], signal.SIGTERM))
print(child.pid, flush=True)
time.sleep(600)
"""

FORK = """
import multiprocessing, signal, time
from orderapp.local.pdeathsig import end_with_parent
def child():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    queue.put(multiprocessing.current_process().pid)
    time.sleep(600)
multiprocessing.set_start_method("fork")
queue = multiprocessing.SimpleQueue()
multiprocessing.Process(target=child).start()
print(queue.get(), flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's service is Linux's")
@pytest.mark.parametrize("program", [PARENT, FORK], ids=["started", "forked"])
def test_a_child_ends_when_its_parent_is_killed(program: str) -> None:
    """Whether it was started by a command, or forked and ignores the polite signal."""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert not eventually(lambda: is_gone(child), within=0.2)
    parent.kill()
    parent.communicate()
    assert eventually(lambda: is_gone(child))


def test_where_there_is_no_setpriv_the_command_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start then takes care of what was left."""
    monkeypatch.setattr(pdeathsig.shutil, "which", lambda _name: None)
    assert pdeathsig.ending_with_parent(["sleep", "1"], signal.SIGTERM) == ["sleep", "1"]
