"""Commands started with faulty settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import config
from tests.servers.environment import NOBODY


@pytest.mark.parametrize(
    "command",
    ["flask urls", "flask db upgrade", "gunicorn wsgi:app", "celery -A celery_worker worker", "celery -A celery_worker beat"],
)
def test_a_command_with_faulty_settings_ends_with_the_table_and_no_traceback(command: str) -> None:
    """An operator reads a table, not our code."""
    program, *arguments = command.split()
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://h/x",
        "CELERY_BROKER_URL": NOBODY,
        "CURRENCY": "euro",
        "PORT": "http",
    }
    argv = [Path(sys.executable).with_name(program), *arguments]
    done = subprocess.run(argv, env=environment, cwd=config.ROOT, capture_output=True, text=True, timeout=60, check=False)
    printed = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in printed
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("  ")] == ["CURRENCY", "PORT"]
    assert printed.count("2 setting(s) to mend") == 1
