"""Counters that all processes share."""

import os
import subprocess
import sys

import pytest
from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

import config
from orderapp.accounts.counters import PostgresCounters
from orderapp.database import db
from tests.sql import one, sql

COUNT = """
import os
from orderapp.accounts.counters import PostgresCounters
from sqlalchemy.engine import make_url
import config
counters = PostgresCounters(url=make_url(config.psycopg2_url(os.environ["DATABASE_URL"])))
print(*[counters.incr("key", 60) for _ in range(50)])
"""


@pytest.fixture
def counters(app: Flask) -> PostgresCounters:
    """Return counters on the test's database."""
    with app.app_context():
        return PostgresCounters(url=db.engine.url)


def test_a_key_counts_within_its_window_and_begins_anew_after_it(counters: PostgresCounters) -> None:
    """The window begins with the first hit and does not move with the others."""
    assert [counters.incr("key", 60), counters.incr("key", 60, 2), counters.get("key")] == [1, 3, 3]
    end = counters.get_expiry("key")
    assert counters.incr("key", 600) == 4
    assert counters.get_expiry("key") == end
    sql("UPDATE rate_limits SET expires_at = clock_timestamp()")
    assert counters.get("key") == 0
    assert counters.incr("key", 60) == 1


def test_keys_do_not_know_each_other_and_can_be_forgotten(counters: PostgresCounters) -> None:
    """One, or all."""
    counters.incr("one", 60)
    counters.incr("two", 60)
    counters.clear("one")
    assert (counters.get("one"), counters.get("two")) == (0, 1)
    counters.reset()
    assert counters.get("two") == 0


def test_a_new_window_sweeps_what_is_over(counters: PostgresCounters) -> None:
    """The table does not grow with every name that was ever tried."""
    for number in range(20):
        counters.incr(f"key {number}", 60)
    sql("UPDATE rate_limits SET expires_at = clock_timestamp() - interval '1 s'")
    counters.incr("new", 60)
    assert [row.key for row in sql("SELECT key FROM rate_limits")] == ["new"]


def test_two_processes_count_together(environment: dict[str, str]) -> None:
    """Each number from 1 to 100 is given out once."""
    argv = [sys.executable, "-c", COUNT]
    both = [
        subprocess.Popen(argv, env={**os.environ, **environment}, cwd=config.ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    given = sorted(int(number) for process in both for number in process.communicate(timeout=60)[0].split())
    assert given == list(range(1, 101))
    assert one("SELECT hits FROM rate_limits") == 100


def test_a_count_outlives_the_failure_of_its_request(counters: PostgresCounters, app: Flask) -> None:
    """It is on a connection of its own, in no transaction of the request."""
    with app.app_context():
        db.session.begin()
        counters.incr("key", 60)
        db.session.rollback()
    assert counters.get("key") == 1


def test_a_database_that_is_away_is_told_as_such(counters: PostgresCounters) -> None:
    """The login answers 503 then, as everything else does."""
    away = PostgresCounters(url=make_url("postgresql+psycopg2://127.0.0.1:9/nowhere"))
    assert counters.check()
    assert not away.check()
    with pytest.raises(OperationalError):
        away.incr("key", 60)
