"""Summaries whose process is killed in the middle, and the next run."""

import signal
import subprocess
import sys
from datetime import UTC

import pytest

import config
from orderapp.reports.days import day_of
from orderapp.reports.summarising import summarise_due_days
from tests.reports.examples import a_shop, insert, recent_days, recomputed, some_samples, stored
from tests.sql import one

# Seconds; it takes two on an idle core.
LONGEST = 60


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("fragment", "count", "written"),
    [
        ("WITH settled", 40, 1),
        ("pg_try_advisory_xact_lock", 2, 1),
        ("INSERT INTO daily_sales", 1, 0),
        ("INSERT INTO daily_sales", 5, None),
    ],
    ids=["while reading the second day", "holding the lock", "before the first commit", "between two currencies or days"],
)
def test_a_killed_run_leaves_whole_days_and_the_next_one_goes_on(fragment: str, count: int, written: int | None) -> None:
    """What is there is right, what is not there is found; a lock dies with its connection."""
    a_shop()
    days = recent_days(4)
    insert(some_samples(days, per_day=6))
    days = sorted({day_of(one("SELECT min(created_at) FROM orders"), UTC), *days})

    argv = [sys.executable, "-m", "tests.reports.dying", fragment, str(count)]
    done = subprocess.run(argv, cwd=config.ROOT, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr

    there = {day for day, _ in stored()}
    assert stored() == recomputed("UTC", there)
    assert written is None or len(there) == written
    assert summarise_due_days(UTC, "USD") == len(days) - len(there)
    assert stored() == recomputed("UTC", days)
