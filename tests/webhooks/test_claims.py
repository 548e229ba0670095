"""Messages twice, late, early and at once; workers that die between POST and record: what happens, happens once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from threading import Barrier
from typing import Any, TypeVar

import pytest
from flask import Flask
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import OperationalError

from orderapp.database import db
from orderapp.webhooks import outcomes, sending
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.rescuing import rescue_deliveries
from orderapp.webhooks.sending import deliver
from tests.servers.others import UNPOOLED
from tests.wire import listening

from .conftest import Factory, Sql
from .receivers import RecordingReceiver, answering, in_turn

T = TypeVar("T")

LAPSE = "UPDATE webhook_deliveries SET lease_until = clock_timestamp() - interval '1 second', rescue_at = clock_timestamp()"


class KilledError(BaseException):
    """What a SIGKILL is to the code after it: nothing runs."""


def at_once(app: Flask, runs: int, call: Callable[[], T]) -> list[T]:
    """Call in so many threads that start together."""
    barrier = Barrier(runs)

    def run() -> T:
        with app.app_context():
            barrier.wait(10)
            return call()

    with ThreadPoolExecutor(runs) as pool:
        return [future.result(30) for future in [pool.submit(run) for _ in range(runs)]]


def test_a_message_delivered_to_five_workers_at_once_is_posted_once(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """The claim is a compare-and-set: one run has it."""
    ids = [a_delivery(), a_delivery()]
    assert sum(at_once(app, 5, lambda: deliver(ids, receivers))) == 2
    assert len(receiver.requests) == 2
    assert [row.attempt for row in sql("SELECT attempt FROM webhook_deliveries")] == [1, 1]


def test_five_workers_with_lists_in_any_order_do_not_deadlock(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers
) -> None:
    """Locks are taken by id whatever the order of the message."""
    ids = [a_delivery() for _ in range(6)]
    lists = [ids, ids[::-1], ids[3:] + ids[:3], ids[::2] + ids[1::2], ids[::-1]]
    assert sum(at_once(app, 5, lambda: deliver(lists.pop(), receivers))) == 6
    assert len(receiver.requests) == 6


def test_a_message_again_after_success_changes_nothing(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """Redelivered by the broker or written again by the rescuer: the delivery is final."""
    delivery_id = a_delivery()
    deliver([delivery_id], receivers)
    assert deliver([delivery_id], receivers) == 0
    assert len(receiver.requests) == 1
    assert len(sql("SELECT 1 FROM webhook_attempts")) == 1


def test_a_message_again_after_a_failure_starts_no_second_chain(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """However often the message comes, one attempt was made and one next message exists."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    receiver.behave = answering(500)
    at_once(app, 3, lambda: deliver([delivery_id], receivers))
    deliver([delivery_id], receivers)
    assert len(receiver.requests) == 1
    assert len(sql("SELECT 1 FROM outbox")) == 1


def test_a_message_that_comes_early_finds_nothing_due(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """The due time in PostgreSQL is the truth."""
    delivery_id = a_delivery()
    sql("UPDATE webhook_deliveries SET due_at = clock_timestamp() + interval '1 hour'")
    assert deliver([delivery_id], receivers) == 0
    assert receiver.requests == []


def test_unknown_ids_are_no_error(receiver: RecordingReceiver, receivers: Receivers, app: Flask) -> None:
    """A message from before a restore names deliveries that do not exist."""
    assert app is not None
    assert deliver([4711], receivers) == 0
    assert receiver.requests == []


def test_a_worker_that_dies_before_the_record_is_followed_after_its_lease(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the lease holds nobody sends; then the rescuer wakes it and the same webhook-id arrives again."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    with monkeypatch.context() as patch:
        patch.setattr(sending, "_record", _killed)
        with pytest.raises(KilledError):
            deliver([delivery_id], receivers)
    assert deliver([delivery_id], receivers) == 0
    assert rescue_deliveries() == 0
    sql(LAPSE)
    assert rescue_deliveries() == 1
    assert len(sql("SELECT 1 FROM outbox")) == 1
    assert deliver([delivery_id], receivers) == 1
    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert [row.attempt for row in sql("SELECT attempt FROM webhook_attempts")] == [2]


def _killed(*_args: object) -> None:
    raise KilledError


def test_a_run_that_outlives_its_lease_records_nothing(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """It wakes up after another run has taken over: the other one's outcome stands, and the only next message is its."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")

    def overtaken(handler: BaseHTTPRequestHandler) -> None:
        sql(LAPSE)
        with app.app_context():
            assert deliver([delivery_id], receivers) == 0
        answering(200)(handler)

    receiver.behave = in_turn(overtaken, answering(500))
    assert deliver([delivery_id], receivers) == 0
    (delivery,) = sql("SELECT state, attempt FROM webhook_deliveries")
    assert tuple(delivery) == ("pending", 2)
    assert [row.attempt for row in sql("SELECT attempt FROM webhook_attempts")] == [2]
    assert len(sql("SELECT 1 FROM outbox")) == 1


def test_a_run_that_outlives_its_lease_leaves_the_next_runs_claim_alone(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """The other one is still sending when the first comes back: its attempt is not closed under it."""
    delivery_id = a_delivery()

    def claimed_by_another(handler: BaseHTTPRequestHandler) -> None:
        sql(LAPSE)
        sql(
            "UPDATE webhook_deliveries SET attempt = 2, lease_until = clock_timestamp() + interval '45 s' WHERE id = :id",
            id=delivery_id,
        )
        answering(200)(handler)

    receiver.behave = claimed_by_another
    assert deliver([delivery_id], receivers) == 0
    (delivery,) = sql("SELECT d.state, d.attempt, o.webhook_sent FROM webhook_deliveries d JOIN orders o ON o.id = d.order_id")
    assert tuple(delivery) == ("pending", 2, False)
    assert sql("SELECT 1 FROM webhook_attempts") == []


def test_rows_are_locked_first_and_the_order_before_its_delivery(app: Flask, a_delivery: Factory, receivers: Receivers) -> None:
    """Two runs cannot deadlock, and of two last deliveries the second sees the first."""
    delivery_id = a_delivery()
    statements: list[str] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_rest: statements.append(statement))
    deliver([delivery_id], receivers)
    told = [" ".join(statement.split()) for statement in statements]
    locks = [one.split(" FROM ")[1].split()[0] for one in told if "FOR NO KEY UPDATE" in one and "SKIP LOCKED" not in one]
    assert locks == ["webhook_deliveries", "webhook_endpoints", "orders", "webhook_deliveries", "webhook_endpoints"]
    changes = [number for number, one in enumerate(told) if one.startswith("UPDATE webhook_deliveries")]
    rows = [number for number, one in enumerate(told) if "FROM webhook_deliveries" in one and "ORDER BY id FOR NO KEY" in one]
    assert rows[0] < changes[0] < rows[1] < changes[1]


def test_a_record_repeated_after_a_lost_answer_counts_once(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit arrived, its confirmation did not: the repetition finds the attempt closed."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    receiver.behave = answering(500)
    told = []

    def twice(*about: Any) -> Any:
        told.extend(record(*about)[0])
        told.extend(record(*about)[0])
        return told[:1], None

    record = sending._record_once
    monkeypatch.setattr(sending, "_record_once", twice)
    deliver([delivery_id], receivers)
    assert told == ["postponed", "outrun"]
    assert len(sql("SELECT 1 FROM webhook_attempts")) == len(sql("SELECT 1 FROM outbox")) == 1


def test_a_connection_lost_during_the_record_costs_no_attempt(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the receiver said is still in hand: the record is written again."""
    record, lost = outcomes.record, []

    def record_on_a_broken_connection(session: Connection, *about: Any) -> list[outcomes.Outcome]:
        if not lost:
            lost.append(session.scalar(text("SELECT pg_backend_pid()")))
            sql("SELECT pg_terminate_backend(:pid)", pid=lost[0])
        return record(session, *about)

    monkeypatch.setattr(outcomes, "record", record_on_a_broken_connection)
    assert deliver([a_delivery()], receivers) == 1
    assert len(receiver.requests) == 1
    assert [row.attempt for row in sql("SELECT attempt FROM webhook_attempts")] == [1]


def test_a_connection_lost_between_claim_and_post_costs_no_attempt(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """What is to be said is read again; a delivery on its last attempt would else be given up without a POST."""
    delivery_id = a_delivery()
    with listening() as wire:
        wire.cut("FROM order_events WHERE id = ANY")
        assert deliver([delivery_id], receivers) == 1
    assert len(receiver.requests) == 1
    assert [row.attempt for row in sql("SELECT attempt FROM webhook_attempts")] == [1]


def test_claims_are_given_back_unused_when_what_they_say_cannot_be_read(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer outage; the deliveries are free, and have a message again."""
    monkeypatch.setattr(sending, "PATIENCE", -1)
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    with listening() as wire:
        wire.cut("FROM order_events WHERE id = ANY")
        with pytest.raises(OperationalError):
            deliver([delivery_id], receivers)
    assert receiver.requests == []
    assert [(row.attempt, row.lease_until) for row in sql("SELECT attempt, lease_until FROM webhook_deliveries")] == [(0, None)]
    assert [row.subject_id for row in sql("SELECT subject_id FROM outbox")] == [delivery_id]
    assert deliver([delivery_id], receivers) == 1


def test_a_database_restart_during_the_post_loses_nothing(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """The record goes to the new connection; the receiver hears of the order once."""
    delivery_id = a_delivery()

    def restarted(handler: BaseHTTPRequestHandler) -> None:
        sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        answering(200)(handler)

    receiver.behave = restarted
    assert deliver([delivery_id], receivers) == 1
    assert len(receiver.requests) == 1


@UNPOOLED
def test_no_transaction_is_open_while_the_receiver_thinks(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers
) -> None:
    """Seen by the receiver itself: a slow one holds no lock, no snapshot and no vacuum back."""
    seen: list[str] = []
    with app.app_context():
        observer = create_engine(db.engine.url)

    def looking(handler: BaseHTTPRequestHandler) -> None:
        with observer.connect() as connection:
            seen.extend(connection.scalars(text(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND application_name = 'orderapp'")))  # fmt: skip
        answering(200)(handler)

    receiver.behave = looking
    assert deliver([a_delivery()], receivers) == 1
    observer.dispose()
    assert seen
    assert set(seen) == {"idle"}
