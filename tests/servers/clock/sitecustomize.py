"""Python imports this by itself at its start, where tests/servers/clocks.py says so: the process's clock follows a file."""

# ruff: noqa: INP001 - a folder for PYTHONPATH, not a package

import os
import threading
import time
from pathlib import Path

import time_machine

# Seconds between two looks at the file.
LOOK = 0.1

_file = Path(os.environ["TEST_CLOCK"])
_wait = threading.Event().wait
_shown: dict[float, time_machine.travel] = {}


def _follow() -> None:
    """Jump whenever the file says another number of seconds; for ever, as a thread beside the program."""
    while True:
        offset = float(_file.read_text())
        if offset not in _shown:
            while _shown:
                _shown.popitem()[1].stop()
            _shown[offset] = time_machine.travel(time.time() + offset, tick=True)
            _shown[offset].start()
        _wait(LOOK)


def _start() -> None:
    threading.Thread(target=_follow, daemon=True).start()


os.register_at_fork(after_in_child=_start)  # threads do not come along
_start()
