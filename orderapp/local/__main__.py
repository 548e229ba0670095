"""``python -m orderapp.local``: everything, until Ctrl-C."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import config
from orderapp.local.children import Child
from orderapp.local.cluster import PostgresError
from orderapp.local.pdeathsig import end_with_parent
from orderapp.local.stack import StackError, run_stack
from orderapp.local.welcome import console


def main(var: Path = config.STACK_FILE.parent, processes: Sequence[Child] | None = None) -> int:
    """Run the stack until asked to end; 0 then, 1 when something failed. Tests bring processes of their own."""
    multiprocessing.set_start_method("fork", force=True)  # honcho hands its children what cannot be pickled
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _interrupt)
    if "MAKELEVEL" in os.environ:
        end_with_parent(signal.SIGTERM)  # a killed make cannot tell us
    failure = None
    try:
        with ExitStack() as resources:
            failure = run_stack(resources, var, processes)
    except (StackError, PostgresError, OSError) as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = None  # asked to end before it was up
    if failure:
        console.print("\n[bold red]Stopped:[/] ", end="")
        console.out(failure, highlight=False)
        return 1
    console.print("Stopped. The next start goes on with the same data.")
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
