"""How soon `make run` is of use in a checkout where it has run before."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests

import config
from bench.measuring import Case, Contestants, Outcome
from bench.stage import Stage
from tests.servers import children
from tests.servers.waiting import free_port, wait_until

# Seconds; the first start creates the database.
FIRST, STOP = 60, 30

# A Mouse: cheap, and fifty of them are there at the first start.
ORDER = {"items": [{"product_id": 2, "quantity": 1}]}


def _make_run(stage: Stage, outcome: Outcome) -> Contestants:
    folder = _checkout(stage.folder / "checkout")
    stage.defer(shutil.rmtree, folder, True)
    outcome.note(f"first start {_seconds_to_settled(stage, folder):.1f} s, without the install")
    return {"ours": lambda _seconds: {"second start s": _seconds_to_settled(stage, folder)}}


def _checkout(folder: Path) -> Path:
    """Copy what git knows, with its times, and share the packages: nothing is installed."""
    listed = subprocess.run(["git", "ls-files"], cwd=config.ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    for name in listed.stdout.splitlines():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(config.ROOT / name, target)
    (folder / ".venv").symlink_to((config.ROOT / ".venv").resolve())
    # Copied files may be younger than the shared stamp, and make would install again.
    stamp = (config.ROOT / ".venv" / ".installed").stat().st_mtime
    os.utime(folder / "requirements-dev.txt", (stamp - 1, stamp - 1))
    return folder


def _seconds_to_settled(stage: Stage, folder: Path) -> float:
    """Run `make run`, order as soon as anything answers, stop it; return the seconds to the first settled order."""
    ports = {name: str(free_port()) for name in ("PORT", "FLOWER_PORT", "RECEIVER_PORT")}
    environment = {**os.environ, **ports, "PYTHONUNBUFFERED": "1"}
    output = stage.folder / "make-run.output"
    with output.open("ab") as file:
        began = time.monotonic()
        process = subprocess.Popen(
            ["make", "run"],  # noqa: S607
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        orders = f"http://127.0.0.1:{ports['PORT']}/api/orders/"
        number = wait_until(lambda: _placed(orders, process, output), FIRST, "the first 201")
        wait_until(lambda: _status(f"{orders}{number}/") == "confirmed", FIRST, "the first settled order")
        return time.monotonic() - began
    finally:
        _stop(process)


def _placed(orders: str, process: subprocess.Popen[bytes], output: Path) -> Any:
    if process.poll() is not None:
        raise RuntimeError(f"make run ended with {process.returncode}:\n{children.tail(output)}")
    try:
        return requests.post(orders, json=ORDER, timeout=2).json().get("id")
    except (requests.RequestException, ValueError):
        return None


def _status(order: str) -> str:
    return str(requests.get(order, timeout=2).json()["status"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it as Ctrl-C does; whatever is left after that is killed."""
    if process.poll() is None:
        children.signal_family(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP)
    children.end_family(process)


CASES = (Case("make_run", "`make run` to the first settled order, in a checkout that ran before", "s", _make_run),)
