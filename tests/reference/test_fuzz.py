"""Schemathesis against the running server: all its checks and its stateful phase; no broken promise, never a 500."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

import config
from orderapp.products.seeding import seed_products
from tests.clients import REQUIRED, a_key
from tests.orders.examples import ledger_is_right
from tests.servers.processes import PROGRAMS, Processes

# Seconds of `make proof`; by hand FUZZ_SECONDS asks for more.
SECONDS = int(os.environ.get("FUZZ_SECONDS", "60"))

# Where the last run's figures are.
FIGURES = config.ROOT / "var"


@pytest.mark.proof
@pytest.mark.settings(**REQUIRED)
@pytest.mark.usefixtures("app")
def test_schemathesis_finds_no_fault(processes: Processes, tmp_path: Path) -> None:
    """With a key that may do everything; FUZZ_SEED repeats a run."""
    seed_products()
    web, report = processes.web().wait_ready(), tmp_path / "report.json"
    argv = [str(PROGRAMS / "schemathesis"), "--config-file", str(Path(__file__).with_name("fuzz.toml"))]
    argv += ["run", f"{web.url}/api/openapi.json", "--checks", "all", "--max-time", str(SECONDS), "--no-color"]
    argv += ["--header", f"Authorization: Bearer {a_key()}", "--generation-database", "none", "--report-json-path", str(report)]
    argv += ["--seed", os.environ.get("FUZZ_SEED", "1"), "--report", "json"]
    # In a folder of its own: it keeps what it found, and would try that again.
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS + 300, check=False)
    FIGURES.mkdir(exist_ok=True)
    (FIGURES / "fuzz.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* generated", done.stdout)
    assert json.loads(report.read_text())
    assert '" 50' not in web.text
    assert ledger_is_right()
