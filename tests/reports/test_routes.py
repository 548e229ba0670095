"""GET /api/reports/daily-sales/."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orderapp.reports.summarising import summarise_day
from tests.reports.examples import Sample, a_shop, days_from, insert, noon

URL = "/api/reports/daily-sales/"

DAY = date(2025, 7, 1)


@pytest.fixture
def summarised(client: FlaskClient) -> list[date]:
    """Have three days summarised, one of them in two currencies."""
    a_shop()
    days = days_from(DAY, 3)
    insert([*(Sample(noon(day)) for day in days), Sample(noon(days[1]), currency="EUR")])
    for day in days:
        summarise_day(day, UTC, "USD")
    assert client
    return days


@pytest.mark.usefixtures("summarised")
def test_days_come_by_day_and_currency_with_money_as_text(client: FlaskClient) -> None:
    """Both ends are included; the answer says what it is of."""
    answer = client.get(URL, query_string={"from": "2025-07-02", "to": "2025-07-03"})
    assert answer.status_code == 200
    body: dict[str, Any] = answer.get_json()
    assert (body["timezone"], body["from"], body["to"]) == ("UTC", "2025-07-02", "2025-07-03")
    assert [(day["day"], day["currency"]) for day in body["days"]] == [
        ("2025-07-02", "EUR"),
        ("2025-07-02", "USD"),
        ("2025-07-03", "USD"),
    ]
    first = body["days"][0]
    assert datetime.fromisoformat(first.pop("summarised_at")).utcoffset() == timedelta(0)
    assert first == {
        "day": "2025-07-02",
        "currency": "EUR",
        "orders": 1,
        "items": 1,
        "revenue": "10.00",
        "failed": 0,
        "cancelled": 0,
        "average": "10.00",
        "top_products": [{"product_id": 1, "name": "Product 1", "units": 1, "revenue": "10.00"}],
    }


@pytest.mark.settings(REPORT_TIMEZONE="Pacific/Auckland")
def test_without_days_it_is_the_last_month(client: FlaskClient) -> None:
    """Thirty days up to today, as REPORT_TIMEZONE has it."""
    body = client.get(URL).get_json()
    first, last = date.fromisoformat(body["from"]), date.fromisoformat(body["to"])
    assert (last - first).days == 29
    assert (body["timezone"], body["days"]) == ("Pacific/Auckland", [])


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("from=2025-02-30", "/query/from"),
        ("from=", "/query/from"),
        ("to=20250101", "/query/to"),
        ("to=1999-12-31", "/query/to"),
        ("from=2025-01-02&to=2025-01-01", "/query/from"),
        ("from=2024-01-01&to=2025-01-01", "/query/from"),
        ("day=2025-01-01", "/query/day"),
    ],
)
def test_bad_days_are_named_one_by_one(client: FlaskClient, query: str, pointer: str) -> None:
    """422 with a pointer, as everywhere; an unknown parameter is most likely a misspelt one."""
    answer = client.get(f"{URL}?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_a_leap_year_is_the_most(client: FlaskClient) -> None:
    """366 days, both ends included."""
    assert client.get(f"{URL}?from=2024-01-01&to=2024-12-31").status_code == 200


def test_it_is_in_the_api_description(app: Flask) -> None:
    """With both parameters under the names that the URL has."""
    (api,) = app.extensions["flask-smorest"]["apis"].values()
    paths = api["ext_obj"].spec.to_dict()["paths"]
    assert [parameter["name"] for parameter in paths[URL]["get"]["parameters"]] == ["from", "to"]
