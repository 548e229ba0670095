"""What relaying costs PostgreSQL: how many statements, and which plans."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from orderapp.database import db
from orderapp.outbox.relaying import Relay
from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay
from tests.outbox.fakes import FakePublisher, returns
from tests.outbox.rows import put, put_many
from tests.sql import sql
from tests.wire import Said, listening

# Rows of the mountain: an hour of rescheduled webhooks.
MANY = 100_000


def words(said: list[Said]) -> list[str]:
    """Return the first word of each statement."""
    return [one.statement.split()[0] for one in said]


def test_an_idle_poll_is_one_statement(a_relay: ARelay) -> None:
    """A hundred times a second; it commits nothing, and needs no transaction for it."""
    relay = a_relay(FakePublisher())
    with listening() as wire:
        assert relay.relay_once() == 0
    assert words(wire.said) == ["SELECT"]
    assert wire.ends == []


@pytest.mark.parametrize("count", [1, 1000])
def test_a_window_is_a_poll_a_claim_and_a_delete(a_relay: ARelay, count: int) -> None:
    """However many rows it has: sets, not loops."""
    put_many(range(1, count + 1), task=WEBHOOKS_DELIVER)
    relay = a_relay(FakePublisher())
    with listening() as wire:
        assert relay.relay_once() == count
    assert words(wire.said) == ["SELECT", "SELECT", "DELETE"]
    assert wire.ends == ["COMMIT"]


def test_each_further_queue_costs_a_claim_and_a_delete(a_relay: ARelay) -> None:
    """One poll asks for all of them."""
    put(1)
    put(1, task=WEBHOOKS_DELIVER)
    relay = a_relay(FakePublisher())
    with listening() as wire:
        assert relay.relay_once() == 2
    assert words(wire.said) == ["SELECT", "SELECT", "DELETE", "SELECT", "DELETE"]
    assert wire.ends == ["COMMIT", "COMMIT"]


def test_parking_is_one_statement_for_all_rows_of_one_fault(a_relay: ARelay) -> None:
    """Also when a thousand messages come back."""
    put_many(range(1, 1001), task=WEBHOOKS_DELIVER)
    relay = a_relay(FakePublisher(returns, returns))
    with listening() as wire:
        assert relay.relay_once() == 1000
    assert words(wire.said) == ["SELECT", "SELECT", "UPDATE", "DELETE"]


@pytest.fixture
def mountain(app: Flask) -> Iterator[None]:
    """Fill all queues with rows that are due tomorrow."""
    assert app
    sql(
        f"""INSERT INTO outbox (queue, task, subject_id, available_at)
        SELECT (ARRAY['orders', 'webhooks', 'maintenance'])[1 + g %% 3], 'orders.process', g, now() + interval '1 day'
        FROM generate_series(1, {MANY}) AS g"""
    )
    sql("VACUUM ANALYZE outbox")
    yield
    sql("TRUNCATE outbox")


def plans(relay: Relay) -> list[dict[str, Any]]:
    """Return the plans of the statements of one call, run once more with what they were called with."""
    with listening() as wire:
        relay.relay_once()
    with db.engine.connect() as connection:
        cursor = connection.connection.cursor()
        found = []
        for said in wire.said:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {said.statement}", said.parameters)
            found.append(cursor.fetchone()[0][0]["Plan"])
        connection.execute(text("ROLLBACK"))
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's node and all below it."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def reads_by(plan: dict[str, Any]) -> set[tuple[str, str]]:
    """Return how a plan reads the outbox: the kind of scan, and the index."""
    return {(node["Node Type"], node.get("Index Name", "")) for node in nodes(plan) if node.get("Relation Name") == "outbox"}


@pytest.mark.usefixtures("mountain")
def test_an_idle_poll_looks_into_the_index_and_not_at_the_mountain(a_relay: ARelay) -> None:
    """A few pages per queue, with 100,000 rows that are due tomorrow."""
    (poll,) = plans(a_relay(FakePublisher()))
    ((kind, index),) = reads_by(poll)
    assert kind in {"Index Scan", "Index Only Scan"}
    assert index == "outbox_due"
    assert poll["Shared Hit Blocks"] + poll["Shared Read Blocks"] < 50


@pytest.mark.usefixtures("mountain")
def test_a_claim_walks_the_index_in_order_and_sorts_nothing(a_relay: ARelay) -> None:
    """Due rows in front of the mountain, or a mountain that is due itself: the limit ends the walk."""
    sql("UPDATE outbox SET available_at = now() - interval '1 h'")
    sql("VACUUM ANALYZE outbox")
    relay = a_relay(FakePublisher(room=10), queues=["webhooks"])
    _poll, claim, _delete = plans(relay)
    assert reads_by(claim) == {("Index Scan", "outbox_due")}
    assert "Sort" not in {node["Node Type"] for node in nodes(claim)}
    assert claim["Shared Hit Blocks"] + claim["Shared Read Blocks"] < 200


@pytest.mark.usefixtures("mountain")
def test_a_delete_goes_by_the_key(a_relay: ARelay) -> None:
    """A window of deletes must not read the table."""
    put_many(range(1, 11), task=WEBHOOKS_DELIVER)
    _poll, _claim, delete = plans(a_relay(FakePublisher(), queues=["webhooks"]))
    assert not {kind for kind, _ in reads_by(delete)} & {"Seq Scan"}
