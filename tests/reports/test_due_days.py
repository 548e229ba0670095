"""The tick: which days it finds to do, in which order, and that it ends where counting one by one does."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from orderapp.database import reading
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.orders.retrying import retry_order
from orderapp.reports import due, queries, summarising
from orderapp.reports.days import day_of, zone_named
from orderapp.reports.summarising import summarise_day, summarise_due_days
from tests.reports.examples import (
    ZONES,
    Sample,
    a_shop,
    days_from,
    insert,
    noon,
    recent_days,
    recomputed,
    some_samples,
    stored,
)
from tests.sql import one, sql
from tests.threads import at_once
from tests.wire import listening

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def _not_beside_midnight() -> None:
    """Skip the minutes in which "yesterday" changes between two lines of a test."""
    now = datetime.now(UTC)
    if (now + timedelta(minutes=3)).date() != (now - timedelta(minutes=3)).date():
        pytest.skip("midnight in UTC is near")


def tick(zone: str = "UTC") -> int:
    """Do what Beat's tick does."""
    return summarise_due_days(zone_named(zone), "USD")


def age(seconds: float = 3600) -> None:
    """Let everything that was summarised so far, and every event, have happened this much earlier."""
    sql("UPDATE daily_sales SET summarised_at = summarised_at - make_interval(secs => %(s)s)", s=seconds)


@pytest.mark.parametrize("zone", ZONES)
def test_missed_days_are_caught_up_and_then_nothing_is_left_to_do(zone: str) -> None:
    """From the first order to yesterday, the days without orders too; today is not over."""
    a_shop()
    days = recent_days(12, zone)
    without_orders = days[4:6]
    moments = [day for day in days if day not in without_orders]
    insert(some_samples(moments, per_day=5))
    first = day_of(one("SELECT min(created_at) FROM orders"), ZoneInfo(zone))
    days = sorted({first, *days})
    assert tick(zone) == len(days)
    assert stored() == recomputed(zone, days)
    assert tick(zone) == 0


def test_nothing_is_done_for_a_shop_without_orders() -> None:
    """There is no day to begin with."""
    assert tick() == 0
    assert stored() == {}


def test_a_tick_is_bounded_and_begins_with_the_oldest_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers serve orders too; each tick does at least one day, so that it ends some time."""
    a_shop()
    days = recent_days(3)
    insert([Sample(noon(day)) for day in days])
    monkeypatch.setattr(summarising, "BUDGET", 0)
    for count in (1, 2, 3):
        assert tick() == 1
        assert sorted(day for day, _ in stored()) == days[:count]
    assert tick() == 0


def test_a_day_summarised_before_its_end_is_done_again() -> None:
    """By hand one may look at today; after midnight that is not the last word."""
    a_shop()
    (yesterday,) = recent_days(1)
    insert([Sample(noon(yesterday))])
    assert summarise_day(yesterday, UTC, "USD")
    sql("UPDATE daily_sales SET orders = 0, summarised_at = %(noon)s", noon=noon(yesterday))
    assert tick() == 1
    assert stored() == recomputed("UTC")


def test_late_cancellations_change_their_days() -> None:
    """However old the day, and no other."""
    a_shop()
    days = recent_days(20)
    ids = insert([Sample(noon(day)) for day in days for _ in range(3)])
    assert tick() == 20
    age()
    cancelled = {0, 10, 11, 19}
    for index in cancelled:
        cancel_order(ids[3 * index], "test")
    with listening() as wire:
        assert tick() == len(cancelled)
    assert stored() == recomputed("UTC", days)
    written = [said.parameters["day"] for said in wire.said if "INSERT INTO daily_sales" in said.statement]
    assert sorted(written) == [days[index] for index in sorted(cancelled)]


@pytest.mark.parametrize("seconds", [0, 30])
def test_a_cancellation_committed_after_the_reading_is_found_by_the_next_tick(seconds: int) -> None:
    """Even one stamped before the reading began: within a minute of a change nothing is taken for granted."""
    a_shop()
    (yesterday,) = recent_days(1)
    (order_id,) = insert([Sample(noon(yesterday))])

    with listening() as wire:
        wire.before("INSERT INTO daily_sales", lambda: _cancel_elsewhere(order_id, seconds))
        assert tick() == 1
    assert stored() != recomputed("UTC")
    assert tick() == 1
    assert stored() == recomputed("UTC")


def _cancel_elsewhere(order_id: int, seconds: int) -> None:
    sql("UPDATE orders SET status = 'cancelled', last_sequence = 3 WHERE id = %(id)s", id=order_id)
    sql(
        "INSERT INTO order_events (id, order_id, sequence, type, occurred_at) SELECT gen_random_uuid(), %(id)s, 3,"
        " 'order.cancelled', clock_timestamp() - make_interval(secs => %(seconds)s)",
        id=order_id,
        seconds=seconds,
    )


def test_an_order_cancelled_while_pending_changes_no_day() -> None:
    """It was never sold; the same moment's cancelled sale is found."""
    a_shop()
    (yesterday,) = recent_days(1)
    insert([Sample(noon(yesterday), "withdrawn"), Sample(noon(yesterday) + timedelta(hours=1), "cancelled")])
    with reading() as session:
        (change,) = queries.cancelled(session, noon(yesterday), noon(yesterday) + timedelta(hours=2))
    assert change.settled_at == noon(yesterday) + timedelta(hours=1)


def test_days_are_not_done_again_and_again_for_one_cancellation() -> None:
    """Once it is a minute older than the summary, it has been seen."""
    a_shop()
    (yesterday,) = recent_days(1)
    (order_id,) = insert([Sample(noon(yesterday))])
    assert tick() == 1
    cancel_order(order_id, "test")
    sql("UPDATE daily_sales SET summarised_at = clock_timestamp() + interval '61 s'")
    assert tick() == 0


def test_cancellations_during_a_long_outage_of_beat_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look back of a fixed length: from the first day that was never summarised on, everything is looked at."""
    a_shop()
    monkeypatch.setattr(summarising, "LOOK_BACK", timedelta(days=1))
    days = recent_days(40)
    ids = insert([Sample(noon(day)) for day in days])
    for day in days[:10]:
        summarise_day(day, UTC, "USD")
    sql("UPDATE daily_sales SET summarised_at = day + interval '25 hours'")
    sql(
        "UPDATE orders SET status = 'cancelled', last_sequence = 3 WHERE id = ANY(%(ids)s)",
        ids=ids[:2],
    )
    sql(
        "INSERT INTO order_events (id, order_id, sequence, type, occurred_at)"
        " SELECT gen_random_uuid(), id, 3, 'order.cancelled', %(then)s FROM orders WHERE status = 'cancelled'",
        then=noon(days[12]),
    )
    assert tick() == 30 + 2
    assert stored() == recomputed("UTC", days)


def test_a_retried_order_leaves_its_old_day_when_its_new_day_is_summarised() -> None:
    """It is never missing, and counted twice only until the next tick after that midnight."""
    a_shop()
    days = recent_days(5)
    failed, *_ = insert([Sample(noon(days[1]), "failed"), *(Sample(noon(day)) for day in days)])
    assert tick() == 5 - 1
    age()
    retry_order(failed, "test")
    assert process_orders([failed], "00000000-0000-7000-8000-00000000abcd") == 1
    # As if that had been the day before yesterday, and yesterday's tick was missed.
    sql("UPDATE orders SET settled_at = %(then)s WHERE id = %(id)s", id=failed, then=noon(days[3]))
    sql("DELETE FROM daily_sales WHERE day >= %(day)s", day=days[3])
    assert tick() == 2
    assert tick() == 1
    assert stored() == recomputed("UTC", days[1:])
    assert tick() == 0


def test_a_day_that_fails_does_not_keep_the_others_from_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug with one day: logged, due again at the next tick."""
    a_shop()
    days = recent_days(3)
    insert([Sample(noon(day)) for day in days])
    read = queries.slice_of

    def broken(session: Any, start: datetime, stop: datetime) -> Any:
        if start.date() == days[0]:
            raise KeyError("a bug")
        return read(session, start, stop)

    monkeypatch.setattr(queries, "slice_of", broken)
    assert tick() == 2
    assert sorted(day for day, _ in stored()) == days[1:]
    monkeypatch.undo()
    assert tick() == 1


def test_an_outage_ends_the_tick() -> None:
    """The task's wait for the database is not spent 24 times a day."""
    a_shop()
    insert([Sample(noon(day)) for day in recent_days(3)])
    with listening() as wire:
        wire.fail("WITH settled", "57P01")
        with pytest.raises(OperationalError):
            tick()
    assert tick() == 3


def test_two_beats_at_once_write_every_day_once_and_right(app: Flask) -> None:
    """Four ticks and messages for single days, while orders are being cancelled; one more tick finds what they missed."""
    a_shop()
    days = recent_days(8)
    ids = insert(some_samples(days, per_day=6))
    first = day_of(one("SELECT min(created_at) FROM orders"), UTC)
    days = sorted({first, *days})
    confirmed = [row.id for row in sql("SELECT id FROM orders WHERE status = 'confirmed' AND id = ANY(%(i)s)", i=ids)]

    def cancel() -> int:
        for order_id in confirmed[::4]:
            cancel_order(order_id, "test")
        return 0

    def messages() -> int:
        return sum(summarise_day(day, UTC, "USD") for day in reversed(days))

    at_once(app, tick, tick, tick, messages, messages, cancel)
    tick()
    assert stored() == recomputed("UTC", days)


def test_a_day_near_midnight_is_looked_for_on_both_sides() -> None:
    """The event of a failure is stamped just after midnight, its order just before."""
    change = queries.Change(datetime(2025, 7, 2, 0, 0, 0, 5000, tzinfo=UTC), datetime(2025, 7, 9, tzinfo=UTC))
    assert due.days_of(change, UTC) == {date(2025, 7, 1), date(2025, 7, 2)}


def test_the_first_day_is_done_a_minute_after_midnight() -> None:
    """Orders stamped before midnight may be committed after it."""
    midnight = datetime(2025, 7, 2, tzinfo=UTC)
    ordered = midnight - timedelta(days=2)
    assert due.unfinished(ordered, midnight + timedelta(seconds=59), {}, UTC) == [date(2025, 6, 30)]
    assert due.unfinished(ordered, midnight + timedelta(seconds=60), {}, UTC) == days_from(date(2025, 6, 30), 2)
