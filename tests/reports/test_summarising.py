"""One day: what is counted, and that it is what counting one by one gives."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from orderapp.orders.cancelling import cancel_order
from orderapp.reports.days import zone_named
from orderapp.reports.summarising import summarise_day
from tests.reports.examples import (
    ZONES,
    Sample,
    a_shop,
    days_from,
    insert,
    noon,
    recomputed,
    some_samples,
    stored,
)
from tests.sql import holding, one, sql
from tests.threads import at_once
from tests.wire import listening

pytestmark = pytest.mark.usefixtures("app")

# 45 days around the change to summer time, 45 around the change back: in New York on 9 March and 2 November, in Berlin on
# 30 March and 26 October.
SEASONS = [*days_from(date(2025, 2, 25), 45), *days_from(date(2025, 9, 28), 45)]

DAY = date(2025, 7, 1)


@pytest.mark.parametrize("zone", ZONES)
def test_ninety_days_are_what_counting_one_by_one_gives(zone: str) -> None:
    """Both changes of the clock, orders on and beside every midnight, two currencies, every outcome; then cancellations."""
    a_shop()
    ids = insert(some_samples(SEASONS, per_day=10))
    for day in SEASONS:
        assert summarise_day(day, zone_named(zone), "USD")
    assert stored() == recomputed(zone, SEASONS)
    assert len({day for day, _ in stored()}) == 90

    confirmed = "SELECT id, settled_at FROM orders WHERE status = 'confirmed' AND id = ANY(%(ids)s)"
    late = sql(confirmed, ids=ids[::100])
    for row in late:
        cancel_order(row.id, "test")
    assert stored() != recomputed(zone, SEASONS)
    for day in {row.settled_at.astimezone(ZoneInfo(zone)).date() for row in late} & set(SEASONS):
        summarise_day(day, zone_named(zone), "USD")
    assert stored() == recomputed(zone, SEASONS)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2025, 3, 30), 23),
        ("Europe/Berlin", date(2025, 10, 26), 25),
        ("America/New_York", date(2025, 3, 9), 23),
        ("America/New_York", date(2025, 11, 2), 25),
        ("UTC", date(2025, 3, 30), 24),
    ],
)
def test_a_day_has_the_hours_that_its_clocks_show(zone: str, day: date, hours: int) -> None:
    """One order in every hour around it: the summary counts as many as the day has hours."""
    a_shop()
    middle = noon(day)
    insert([Sample(middle + timedelta(hours=number, minutes=30)) for number in range(-30, 30)])
    assert summarise_day(day, zone_named(zone), "USD")
    assert stored()[day, "USD"]["orders"] == hours


def test_each_outcome_is_counted_where_the_definition_says() -> None:
    """Orders are all that were confirmed; money and units are of those that were not cancelled since."""
    a_shop()
    lamp, desk = (1, 2, Decimal("10.00")), (2, 1, Decimal("0.01"))
    insert(
        [
            Sample(noon(DAY), items=(lamp, desk)),
            Sample(noon(DAY), items=(lamp,)),
            Sample(noon(DAY), "cancelled", items=(lamp,)),
            Sample(noon(DAY), "failed"),
            Sample(noon(DAY), "withdrawn"),
        ]
    )
    assert summarise_day(DAY, UTC, "USD")
    assert stored() == {
        (DAY, "USD"): {
            "orders": 3,
            "cancelled": 1,
            "failed": 1,
            "items": 5,
            "revenue": Decimal("40.01"),
            "average": Decimal("20.01"),  # 20.005
            "top_products": [
                {"product_id": 1, "name": "Product 1", "units": 4, "revenue": "40.00"},
                {"product_id": 2, "name": "Product 2", "units": 1, "revenue": "0.01"},
            ],
        }
    }


def test_a_day_without_orders_has_a_row_of_zeros() -> None:
    """Otherwise nobody could tell it from a day that is missing."""
    assert summarise_day(DAY, UTC, "CHF")
    assert stored() == recomputed("UTC", [DAY], default="CHF")
    assert stored()[DAY, "CHF"]["average"] == 0


def test_the_row_of_zeros_goes_when_there_are_orders_after_all() -> None:
    """A currency that has nothing to tell of the day any more leaves no row behind."""
    assert summarise_day(DAY, UTC, "CHF")
    a_shop()
    insert([Sample(noon(DAY), currency="EUR")])
    assert summarise_day(DAY, UTC, "CHF")
    assert list(stored()) == [(DAY, "EUR")]


def test_no_read_is_held_longer_than_an_hour_of_the_day() -> None:
    """Every slice ends before the next begins: a long snapshot would keep dead rows alive, the outbox's above all."""
    a_shop()
    insert([Sample(noon(DAY))])
    with listening() as wire:
        assert summarise_day(DAY, UTC, "USD")
    reads = [said.statement for said in wire.said if "WITH settled" in said.statement]
    assert len(reads) == 24
    # One to look at the clock, 24 slices, the end of the clean read before the act, the act.
    assert wire.ends.count("ROLLBACK") >= 25
    assert wire.ends[-1] == "COMMIT"
    assert wire.ends.count("COMMIT") == 1


def test_slices_and_cancellations_are_found_by_their_indexes() -> None:
    """The block ranges of settled_at, at 20,000 orders; no sequential scan of orders or events."""
    a_shop()
    first = datetime(2025, 1, 1, tzinfo=UTC)
    insert(
        [
            Sample(first + timedelta(minutes=number), "cancelled" if number % 50 == 0 else "confirmed")
            for number in range(20_000)
        ]
    )
    for table in ("orders", "order_items", "order_events"):
        sql(f"VACUUM ANALYZE {table}")
    with listening() as wire:
        assert summarise_day(date(2025, 1, 10), UTC, "USD")
    said = next(said for said in wire.said if "WITH settled" in said.statement)
    plan = "\n".join(row[0] for row in sql(f"EXPLAIN {said.statement}", **said.parameters))
    assert "Bitmap Index Scan on orders_settled" in plan, plan
    assert "Seq Scan on order" not in plan, plan
    assert stored()[date(2025, 1, 10), "USD"]["orders"] == 24 * 60


def test_a_summary_that_somebody_else_writes_now_is_left_to_them() -> None:
    """No waiting: their reading is as fresh as ours."""
    a_shop()
    lock = "SELECT pg_try_advisory_xact_lock(hashtext('reports.summarise_day'), %(day)s::date - DATE 'epoch')"
    with holding(lock, day=DAY):
        assert not summarise_day(DAY, UTC, "USD")
    assert stored() == {}
    assert summarise_day(DAY, UTC, "USD")


def test_what_was_read_before_a_newer_summary_is_thrown_away(app: Flask) -> None:
    """Two runs read, an order is cancelled in between: whoever read before it may not write over the other."""
    a_shop()
    (order_id,) = insert([Sample(noon(DAY))])

    def overtake() -> None:
        at_once(app, lambda: cancel_order(order_id, "test"))
        assert at_once(app, lambda: summarise_day(DAY, UTC, "USD")) == [True]

    with listening() as wire:
        wire.before("pg_try_advisory_xact_lock", overtake)
        assert summarise_day(DAY, UTC, "USD")
    reads = [said for said in wire.said if "WITH settled" in said.statement]
    assert len(reads) == 3 * 24  # ours, theirs, and ours again
    assert stored() == recomputed("UTC", [DAY])
    assert one("SELECT cancelled FROM daily_sales") == 1
