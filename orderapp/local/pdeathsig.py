"""Children that end with their parent, also when it is killed and cannot end them itself (Linux: PR_SET_PDEATHSIG).

The kernel sends the signal when the *thread* that started the child ends: start children from the main thread.
"""

import ctypes
import shutil
import signal
import sys

# prctl(2), <linux/prctl.h>: the number never changes.
PR_SET_PDEATHSIG = 1


def ending_with_parent(command: list[str], number: signal.Signals) -> list[str]:
    """Return the command, started so that it gets this signal when its parent ends; unchanged where that is unknown."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", number.name.removeprefix("SIG"), "--", *command] if setpriv else command


def end_with_parent(number: signal.Signals) -> None:
    """Ask the same for the calling process, by which it was forked or started."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
