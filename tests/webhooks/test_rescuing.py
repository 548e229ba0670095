"""Waking deliveries whose message or worker was lost, and no others."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask

from orderapp.database import db
from orderapp.webhooks import claims, rescuing
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.rescuing import rescue_deliveries
from orderapp.webhooks.sending import deliver

from .conftest import Factory, Logged, Sql

OVERDUE = "UPDATE webhook_deliveries SET rescue_at = clock_timestamp() - interval '1 second'"


def messages(sql: Sql) -> list[int]:
    """Return the deliveries that have a message."""
    return [row.subject_id for row in sql("SELECT subject_id FROM outbox WHERE task = 'webhooks.deliver' ORDER BY subject_id")]


def test_a_delivery_whose_message_was_lost_gets_a_new_one(a_delivery: Factory, receivers: Receivers, sql: Sql) -> None:
    """The broker lost its volume: PostgreSQL knows, and the webhook goes out."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    sql(OVERDUE)
    assert rescue_deliveries() == 1
    assert messages(sql) == [delivery_id]
    assert deliver([delivery_id], receivers) == 1


@pytest.mark.parametrize(
    "change",
    [
        "rescue_at = clock_timestamp() + interval '1 second'",
        "lease_until = clock_timestamp() + interval '1 minute'",
        "state = 'succeeded'",
        "state = 'exhausted'",
        "state = 'disabled'",
    ],
    ids=["not due", "being sent", "succeeded", "exhausted", "disabled"],
)
def test_others_are_left_alone(a_delivery: Factory, sql: Sql, change: str) -> None:
    """A healthy or finished delivery gets no second message."""
    a_delivery()
    sql("DELETE FROM outbox")
    sql(OVERDUE)
    sql(f"UPDATE webhook_deliveries SET {change}")
    assert rescue_deliveries() == 0
    assert messages(sql) == []


def test_the_pause_doubles_up_to_an_hour(a_delivery: Factory, sql: Sql) -> None:
    """A message that only waits behind many others is not multiplied every few seconds."""
    a_delivery()
    pauses = []
    for _ in range(10):
        sql(OVERDUE)
        assert rescue_deliveries() == 1
        (row,) = sql("SELECT rescue_at - clock_timestamp() AS pause FROM webhook_deliveries")
        pauses.append(round(row.pause / timedelta(seconds=30)))
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 128, 128]


def test_a_claim_starts_the_pauses_anew(a_delivery: Factory, receivers: Receivers, sql: Sql) -> None:
    """The message has arrived: the next loss is noticed as fast as the first."""
    delivery_id = a_delivery()
    sql("UPDATE webhook_deliveries SET rescues = 7")
    deliver([delivery_id], receivers)
    assert sql("SELECT rescues FROM webhook_deliveries")[0].rescues == 0


def test_two_rescuers_at_once_write_one_message(app: Flask, a_delivery: Factory, sql: Sql) -> None:
    """A second beat does no harm."""
    ids = sorted(a_delivery() for _ in range(5))
    sql("DELETE FROM outbox")
    sql(OVERDUE)

    def rescue() -> int:
        with app.app_context():
            return rescue_deliveries()

    with ThreadPoolExecutor(4) as pool:
        counts = [future.result(30) for future in [pool.submit(rescue) for _ in range(4)]]
    assert sum(counts) == 5
    assert messages(sql) == ids


def test_a_rescuer_leaves_when_another_is_at_work(app: Flask, a_delivery: Factory, sql: Sql) -> None:
    """It does not wait either: beat's next message comes soon."""
    a_delivery()
    sql(OVERDUE)
    with app.app_context(), db.engine.begin() as other:
        other.execute(rescuing.ALONE)
        assert rescue_deliveries() == 0


def test_one_that_is_being_claimed_or_recorded_now_is_passed_over(app: Flask, a_delivery: Factory, sql: Sql) -> None:
    """It needs no rescue, and the others do not wait for it."""
    busy, lost = a_delivery(), a_delivery()
    sql("DELETE FROM outbox")
    sql(OVERDUE)
    with app.app_context(), db.engine.begin() as other:
        other.execute(claims.LOCK, {"ids": [busy]})
        assert rescue_deliveries() == 1
    assert messages(sql) == [lost]


def test_many_are_rescued_in_small_batches_up_to_a_limit(
    a_delivery: Factory, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Oldest first; the rest is for the next call."""
    ids = [a_delivery() for _ in range(5)]
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET rescue_at = clock_timestamp() - id * interval '1 second'")
    monkeypatch.setattr(rescuing, "BATCH", 2)
    assert rescue_deliveries(limit=3) == 3
    assert messages(sql) == sorted(ids)[2:]
    assert rescue_deliveries(limit=3) == 2


def test_one_that_killed_its_last_attempt_is_given_up(
    a_delivery: Factory, receivers: Receivers, sql: Sql, logged: Logged
) -> None:
    """Ten workers died over it, or ten times by chance: an operator decides, loudly told."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    sql(OVERDUE + ", attempt = 10, lease_until = clock_timestamp() - interval '1 second'")
    assert deliver([delivery_id], receivers) == 0
    assert rescue_deliveries() == 0
    assert sql("SELECT state FROM webhook_deliveries")[0].state == "exhausted"
    assert messages(sql) == []
    assert [(line["level"], line["delivery_ids"]) for line in logged()] == [("error", [delivery_id])]
