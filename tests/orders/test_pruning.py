"""Idempotency keys are kept for a day and forgotten soon after."""

from collections.abc import Callable

import pytest
from flask import Flask

from orderapp.orders import pruning
from orderapp.orders.pruning import prune_keys
from tests.orders.examples import placed
from tests.sql import holding, one, sql
from tests.wire import listening

STORE = """
INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, response, created_at)
SELECT 1, %(age)s || ' ' || n, decode(repeat('00', 32), 'hex'), 1, '', now() - CAST(%(age)s AS interval)
FROM generate_series(1, %(count)s) n
"""


@pytest.fixture(autouse=True)
def _an_order(app: Flask, a_product: Callable[..., int]) -> None:
    assert app
    placed((a_product(), 1))


def keys(age: str, count: int) -> None:
    """Store keys of this age."""
    sql(STORE, age=age, count=count)


def test_keys_are_kept_for_24_hours_and_an_hour_more() -> None:
    """Counted from their commit, and a client counts from the answer."""
    keys("24 h", 2)
    keys("24 h 59 min", 2)
    keys("25 h 1 min", 3)
    assert prune_keys() == 3
    assert one("SELECT count(*) FROM idempotency_keys") == 4
    assert prune_keys() == 0


def test_many_are_forgotten_in_small_transactions() -> None:
    """A vacuum, and a POST that inserts, never wait long."""
    keys("30 h", 2 * pruning.BATCH + 1)
    with listening() as wire:
        assert prune_keys() == 2 * pruning.BATCH + 1
    assert wire.ends == ["COMMIT"] * 3
    assert one("SELECT count(*) FROM idempotency_keys") == 0


def test_a_run_ends_in_time_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker has orders to serve, too."""
    keys("30 h", 10)
    monkeypatch.setattr(pruning, "BATCH", 4)
    monkeypatch.setattr(pruning, "LONGEST", -1)
    assert prune_keys() == 0
    monkeypatch.setattr(pruning, "LONGEST", 5)
    assert prune_keys() == 10


def test_a_second_one_at_the_same_time_does_nothing() -> None:
    """Two beats, or a tick that took longer than the pause."""
    keys("30 h", 1)
    with holding("SELECT pg_advisory_xact_lock(hashtext('orders.prune'))"):
        assert prune_keys() == 0
    assert prune_keys() == 1
