"""A slow, dead or hostile receiver slows nobody: places, the breaker, probes, and what waits behind them."""

from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from flask import Flask

from orderapp.database import writing
from orderapp.webhooks import claims, gates
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.rescuing import rescue_deliveries
from orderapp.webhooks.sending import deliver, how_many_next

from .conftest import Factory, Logged, Sql
from .receivers import RecordingReceiver, answering, in_turn

TRIPPED = "UPDATE webhook_endpoints SET failures = 10, failing_since = now(), open_until = now() + interval '30 s' WHERE id = 1"
PROBE_DUE = "UPDATE webhook_endpoints SET open_until = clock_timestamp() - interval '1 s' WHERE id = 1"


def state(sql: Sql) -> list[tuple[Any, ...]]:
    """Return each delivery's state, attempts and whether it waits."""
    return [tuple(row) for row in sql("SELECT state, attempt, waiting FROM webhook_deliveries ORDER BY id")]


def messages(sql: Sql) -> list[int]:
    """Return the deliveries that have a message."""
    return [row.subject_id for row in sql("SELECT subject_id FROM outbox WHERE task = 'webhooks.deliver' ORDER BY id")]


def test_behind_an_open_breaker_deliveries_wait_and_use_no_attempt(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """Nothing is sent, counted or asked for again, however often their messages come and the rescuer looks."""
    ids = [a_delivery(), a_delivery()]
    sql("DELETE FROM outbox")
    sql(TRIPPED)
    for _ in range(3):
        assert deliver(ids, receivers) == 0
        sql("UPDATE webhook_deliveries SET rescue_at = clock_timestamp() - interval '1 hour'")
        assert rescue_deliveries() == 0
    assert receiver.requests == []
    assert state(sql) == [("pending", 0, True)] * 2
    assert messages(sql) == []


def test_one_probe_brings_all_that_waits_when_the_receiver_is_back(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """The rescuer wakes one delivery; when it gets through, the same run sends the others."""
    ids = [a_delivery() for _ in range(5)]
    sql(TRIPPED)
    deliver(ids, receivers)
    sql(PROBE_DUE)
    sql("DELETE FROM outbox")
    rescue_deliveries()
    assert messages(sql) == ids[:1]
    assert deliver(messages(sql), receivers) == 5
    assert state(sql) == [("succeeded", 1, False)] * 5
    (endpoint,) = sql("SELECT failures, failing_since, open_until FROM webhook_endpoints WHERE id = 1")
    assert tuple(endpoint) == (0, None, None)
    assert len(receiver.requests) == 5


def test_only_one_probe_is_out_at_a_time(
    app: Flask, a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """While it waits for its answer nobody else sends; when it fails, the next pause is twice as long."""
    ids = [a_delivery() for _ in range(3)]
    sql(TRIPPED)
    deliver(ids, receivers)
    sql(PROBE_DUE)

    def others_come(handler: BaseHTTPRequestHandler) -> None:
        with app.app_context():
            assert deliver(ids, receivers) == 0
        answering(500)(handler)

    receiver.behave = others_come
    deliver(ids, receivers)
    assert len(receiver.requests) == 1
    assert state(sql) == [("pending", 1, False), ("pending", 0, True), ("pending", 0, True)]
    (pause,) = sql("SELECT extract(epoch FROM open_until - clock_timestamp()) AS s FROM webhook_endpoints WHERE id = 1")
    assert 55 < pause.s <= 60


def test_ten_failures_in_a_row_open_the_breaker_and_a_success_in_between_does_not(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql, logged: Logged
) -> None:
    """Counted over all deliveries of the endpoint, in the order of the answers."""
    ids = [a_delivery() for _ in range(20)]
    receiver.behave = in_turn(*[answering(500)] * 9, answering(200), answering(503))
    deliver(ids[:19], receivers)
    (row,) = sql("SELECT failures, open_until FROM webhook_endpoints WHERE id = 1")
    assert tuple(row) == (9, None)
    deliver(ids[19:], receivers)
    (row,) = sql("SELECT failures, open_until > clock_timestamp() AS is_open FROM webhook_endpoints WHERE id = 1")
    assert tuple(row) == (10, True)
    assert [line["event"] for line in logged()].count("endpoint rests, its deliveries wait") == 1


def test_a_run_ends_with_the_failure_that_opens_the_breaker(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """Its other deliveries use no attempt: they are free, have a message each and wait when that comes."""
    ids = [a_delivery() for _ in range(13)]
    sql("DELETE FROM outbox WHERE subject_id = ANY(:ids)", ids=ids)
    receiver.behave = answering(500)
    assert deliver(ids, receivers) == 0
    assert len(receiver.requests) == gates.MOST_FAILURES
    assert state(sql) == [("pending", 1, False)] * 10 + [("pending", 0, False)] * 3
    assert sorted(messages(sql)) == ids
    deliver(ids[10:], receivers)
    assert state(sql)[10:] == [("pending", 0, True)] * 3
    assert len(receiver.requests) == gates.MOST_FAILURES


@pytest.mark.parametrize(("sent", "seconds", "most"), [(20, 0.01, 100), (20, 0.4, 50), (20, 20, 20), (1, 15, 20), (1, 0, 100)])
def test_a_run_goes_on_with_what_the_receiver_takes_in_a_second(sent: int, seconds: float, most: int) -> None:
    """A hundred at most, and never fewer than a message brings."""
    assert how_many_next(sent, seconds) == most


def test_what_waits_is_claimed_as_many_as_asked_for(a_delivery: Factory, receivers: Receivers, sql: Sql) -> None:
    """By one statement; more than a message may bring."""
    ids = [a_delivery() for _ in range(gates.BATCH + 3)]
    with writing() as session:
        (run,) = claims.take(session, ids[:1], receivers).runs
    sql("UPDATE webhook_deliveries SET waiting = true WHERE id = ANY(:ids)", ids=ids[1:])
    with writing() as session:
        following = claims.take_waiting(session, run, receivers, gates.BATCH + 1)
    assert following is not None
    assert [claim.id for claim in following.claims] == ids[1:-1]


def test_an_endpoint_has_four_runs_at_most_and_they_take_what_came_meanwhile(
    app: Flask, a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """A fifth message finds no place; whoever is done first goes on with its delivery."""
    ids = [a_delivery() for _ in range(gates.MOST_RUNS + 1)]
    for delivery_id in ids[1 : gates.MOST_RUNS]:
        with writing() as session:
            assert claims.take(session, [delivery_id], receivers).runs

    def fifth_comes(handler: BaseHTTPRequestHandler) -> None:
        if len(receiver.requests) == 1:
            with app.app_context():
                assert deliver([ids[-1]], receivers) == 0
            assert state(sql)[-1] == ("pending", 0, True)
        answering(200)(handler)

    receiver.behave = fifth_comes
    assert deliver(ids[:1], receivers) == 2
    assert state(sql)[-1] == ("succeeded", 1, False)


def test_what_waits_is_found_when_the_busy_worker_died(a_delivery: Factory, receivers: Receivers, sql: Sql) -> None:
    """Nobody is left to go on with it: the rescuer sends a message, and the place of the dead is free after its lease."""
    ids = [a_delivery() for _ in range(gates.MOST_RUNS + 1)]
    for delivery_id in ids[: gates.MOST_RUNS]:
        with writing() as session:
            claims.take(session, [delivery_id], receivers)
    deliver(ids[-1:], receivers)
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL")
    rescue_deliveries()
    assert ids[-1] in messages(sql)
    assert deliver(ids[-1:], receivers) == 1


def test_deliveries_whose_worker_died_go_alone(a_delivery: Factory, receivers: Receivers, sql: Sql) -> None:
    """One of them may be why: it takes no neighbour with it, and each of the others has a message."""
    ids = [a_delivery() for _ in range(3)]
    with writing() as session:
        claims.take(session, ids, receivers)
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET lease_until = clock_timestamp()")
    with writing() as session:
        (run,) = claims.take(session, ids, receivers).runs
    assert [claim.id for claim in run.claims] == ids[:1]
    assert messages(sql) == ids[1:]


def test_410_disables_the_endpoint_at_once(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql, logged: Logged
) -> None:
    """The receiver says that it is gone for good: a row in the audit log, an error in the log, no further attempt."""
    first, second = a_delivery(), a_delivery()
    receiver.behave = answering(410)
    deliver([first], receivers)
    deliver([second], receivers)
    assert state(sql) == [("disabled", 1, False), ("disabled", 0, False)]
    (endpoint,) = sql("SELECT active, disabled_reason FROM webhook_endpoints WHERE id = 1")
    assert tuple(endpoint) == (False, "gone")
    (entry,) = sql("SELECT actor, action, subject, subject_id, reason FROM audit_log WHERE subject = 'webhook_endpoint'")
    assert tuple(entry) == ("system", "disable", "webhook_endpoint", 1, "gone")
    assert ("error", "endpoint disabled, see flask webhooks endpoints") in [(line["level"], line["event"]) for line in logged()]


@pytest.mark.parametrize(("since", "disabled"), [("5 days 1 minute", True), ("4 days 23 hours", False)])
def test_five_days_of_nothing_but_failures_disable_it(
    *, a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql, since: str, disabled: bool
) -> None:
    """Longer than the ten attempts of any delivery; a single success begins the count anew."""
    delivery = a_delivery()
    sql(f"UPDATE webhook_endpoints SET failures = 3, failing_since = now() - interval '{since}' WHERE id = 1")
    receiver.behave = answering(500)
    deliver([delivery], receivers)
    (endpoint,) = sql("SELECT active, disabled_reason FROM webhook_endpoints WHERE id = 1")
    assert tuple(endpoint) == ((False, "failing") if disabled else (True, None))
    assert len(sql("SELECT 1 FROM audit_log WHERE subject = 'webhook_endpoint'")) == int(disabled)


@pytest.mark.parametrize(("status", "asked", "least", "most"), [
    (429, "120", 119, 121), (503, "120", 119, 121), (503, "999999999999", 86_390, 86_401), (503, "1", 4, 6),
    (500, "120", 4, 6), (503, "soon", 4, 6), (503, "-5", 4, 6),
])  # fmt: skip
def test_a_busy_receiver_is_left_alone_as_long_as_it_asks(
    *,
    a_delivery: Factory,
    receivers: Receivers,
    receiver: RecordingReceiver,
    sql: Sql,
    status: int,
    asked: str,
    least: int,
    most: int,
) -> None:
    """Never shorter than the schedule, never longer than a day."""
    receiver.behave = answering(status, retry_after=asked)
    deliver([a_delivery()], receivers)
    (row,) = sql("SELECT extract(epoch FROM due_at - clock_timestamp()) AS pause FROM webhook_deliveries")
    assert least < row.pause < most
