"""Where a moment lies among the ids of a table: never behind a row that belongs to it."""

from datetime import UTC, datetime, timedelta

import pytest

from orderapp.admin import moments
from orderapp.database import reading
from tests.sql import sql

pytestmark = pytest.mark.usefixtures("app")

START = datetime(2026, 3, 1, tzinfo=UTC)


def found(minutes: float) -> tuple[int, int]:
    """Return where the orders since this minute begin, and where those before it end."""
    moment = START + timedelta(minutes=minutes)
    with reading() as session:
        return tuple(find(session, "orders", "created_at", moment) for find in (moments.first_since, moments.end_before))  # type: ignore[return-value]


@pytest.mark.parametrize("gap", [1, 7])
def test_rows_are_found_by_their_time_whatever_gaps_the_ids_have(gap: int) -> None:
    """One order every ten minutes: far enough from its neighbours to be found exactly."""
    sql(
        "INSERT INTO orders (id, client_id, currency, rescue_at, created_at) SELECT n * %(gap)s, 1, 'USD', now(),"
        " %(start)s::timestamptz + make_interval(mins => n * 10) FROM generate_series(1, 100) AS n",
        gap=gap, start=START,
    )  # fmt: skip
    for number in (1, 2, 50, 99, 100):
        since, end = found(number * 10 - 5)
        assert (number - 1) * gap < since <= number * gap
        assert (number - 1) * gap < end <= number * gap
    assert found(-5)[0] <= gap
    assert min(found(2000)) > 100 * gap - gap


def test_a_row_a_minute_out_of_order_is_not_lost() -> None:
    """Ids are given a moment before times are."""
    sql("INSERT INTO orders (client_id, currency, rescue_at, created_at) SELECT 1, 'USD', now(),"
        " %(start)s::timestamptz + make_interval(secs => n * 30 + CASE WHEN mod(n, 3) = 0 THEN 45 ELSE 0 END)"
        " FROM generate_series(1, 300) AS n", start=START)  # fmt: skip
    for minutes in (3, 60, 100.5):
        since, end = found(minutes)
        moment = START + timedelta(minutes=minutes)
        assert sql("SELECT 1 FROM orders WHERE created_at >= %(at)s AND id < %(id)s", at=moment, id=since) == []
        assert sql("SELECT 1 FROM orders WHERE created_at < %(at)s AND id >= %(id)s", at=moment, id=end) == []
        assert end - since < 12


def test_a_table_without_rows_has_a_beginning_and_an_end() -> None:
    """Both before the first row that comes."""
    assert max(found(0)) <= 1
