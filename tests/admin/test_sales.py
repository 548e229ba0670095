"""The page of sales: days, sums and pictures, per currency."""

import re
from collections.abc import Callable
from html import unescape
from xml.etree import ElementTree as ET

import pytest

from tests.admin.examples import SCRIPT
from tests.admin.visitors import Visitor, alerts
from tests.sql import sql

Visit = Callable[[str], Visitor]

PAGE = "/admin/sales/"

# What the period of a test is: three days of two currencies, one of them in both.
DAYS = f"{PAGE}?from=2026-03-01&to=2026-03-31"


@pytest.fixture
def sold(visit: Visit) -> Visitor:
    """Return a viewer of a few days of sales."""
    for day, currency, orders, revenue, top in (
        ("2026-03-29", "EUR", 3, "1234.50", SCRIPT),
        ("2026-03-30", "EUR", 1, "0.50", "Lamp"),
        ("2026-03-30", "USD", 7, "70.00", "Chair"),
        ("2026-04-01", "USD", 9, "99.00", "Desk"),
    ):
        sql(
            "INSERT INTO daily_sales (day, currency, orders, items, revenue, failed, cancelled, average, top_products,"
            " summarised_at) VALUES (%(day)s, %(currency)s, %(orders)s, 12, %(revenue)s, 2, 1, 5, jsonb_build_array("
            "jsonb_build_object('product_id', 1, 'name', %(top)s::text, 'units', 12, 'revenue', '5.00')), now())",
            day=day, currency=currency, orders=orders, revenue=revenue, top=top,
        )  # fmt: skip
    return visit("viewer")


def cells(page: str) -> list[list[str]]:
    """Return the words of each row of the table."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    return [[unescape(words) for words in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in rows]


def pictures(page: str) -> list[str]:
    """Return the addresses of the page's pictures."""
    return [unescape(address) for address in re.findall(r'<img src="([^"]+)"', page)]


def test_the_days_asked_for_are_shown_newest_first_with_their_money(sold: Visitor) -> None:
    """Both ends of the period are in it; each amount names its currency."""
    assert cells(sold.client.get(DAYS).text) == [
        ["2026-03-30", "70.00 USD", "7", "1", "2", "12", "5.00 USD", "Chair (12)"],
        ["2026-03-30", "0.50 EUR", "1", "1", "2", "12", "5.00 EUR", "Lamp (12)"],
        ["2026-03-29", "1,234.50 EUR", "3", "1", "2", "12", "5.00 EUR", f"{SCRIPT} (12)"],
    ]
    assert len(cells(sold.client.get(f"{PAGE}?from=2026-03-29&to=2026-04-01").text)) == 4
    assert len(cells(sold.client.get(f"{PAGE}?from=2026-03-30&to=2026-03-30").text)) == 2


def test_currencies_are_never_added_up(sold: Visitor) -> None:
    """Each has sums and two pictures of its own."""
    page = sold.client.get(DAYS).text
    sums = dict(re.findall(r'<section aria-label="(\w+)">(.*?)</dl>', page, re.DOTALL))
    assert {name: re.findall(r"<dd>(.*?)</dd>", words) for name, words in sums.items()} == {
        "EUR": ["1,235.00", "4", "2", "4"],
        "USD": ["70.00", "7", "1", "2"],
    }
    assert [re.findall(r"sales/(\w+).svg\?currency=(\w+)", address)[0] for address in pictures(page)] == [
        ("revenue", "EUR"),
        ("orders", "EUR"),
        ("revenue", "USD"),
        ("orders", "USD"),
    ]


@pytest.mark.settings(REPORT_TIMEZONE="Europe/Berlin")
def test_the_pictures_draw_the_days_of_the_page(sold: Visitor) -> None:
    """Title, unit, time zone; the days of their currency and no others. They run nothing and load nothing."""
    page = sold.client.get(DAYS).text
    assert "Days are cut in Europe/Berlin" in page
    drawn = [sold.client.get(address) for address in pictures(page)]
    for answer in drawn:
        assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
        assert ET.fromstring(answer.data).tag.endswith("svg")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
    assert "Revenue per day, in EUR (days in Europe/Berlin)" in drawn[0].text
    assert "1,234.50" in drawn[0].text
    assert ["2026-03-29" in answer.text for answer in drawn] == [True, True, False, False]
    assert "2026-04-01" not in "".join(answer.text for answer in drawn)


def test_without_dates_the_last_30_days_are_shown(visit: Visit) -> None:
    """Today is the last, and 29 days before it the first."""
    sql(
        "INSERT INTO daily_sales (day, currency, orders, items, revenue, failed, cancelled, average, top_products,"
        " summarised_at)"
        " SELECT (now() AT TIME ZONE 'UTC')::date - n, 'USD', 1, 1, 1, 0, 0, 1, '[]', now() FROM generate_series(0, 30) AS n"
    )
    page = visit("viewer").client.get(PAGE).text
    assert len(cells(page)) == 30
    assert "<dd>30.00</dd>" in page


def test_days_without_a_summary_are_told_and_draw_nothing(visit: Visit) -> None:
    """Words instead of an empty frame."""
    page = visit("viewer").client.get(PAGE).text
    assert cells(page) == [["No day of these is summarised yet."]]
    assert pictures(page) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("from=yesterday", "Not a day such as 2026-01-31."),
        ("to=0001-01-01", "Not a day from 2000-01-01"),
        ("from=2026-03-30&to=2026-03-29", "After the last day, 2026-03-29."),
        ("from=2020-01-01&to=2026-03-29", "More than 366 days"),
    ],
)
def test_a_period_that_makes_no_sense_is_told(sold: Visitor, query: str, words: str) -> None:
    """And shows no days, which would look like an answer; its picture is refused."""
    answer = sold.client.get(f"{PAGE}?{query}")
    assert words in alerts(answer)
    assert cells(answer.text) == [["No day of these is summarised yet."]]
    refused = sold.client.get(f"{PAGE}revenue.svg?currency=EUR&{query}")
    assert (refused.status_code, words in unescape(refused.text)) == (400, True)


@pytest.mark.parametrize("currency", ["", "usd", "EURO", "EU\n", SCRIPT])
def test_a_picture_of_no_currency_is_refused(sold: Visitor, currency: str) -> None:
    """Its title would hold whatever was asked for."""
    assert sold.get(f"{PAGE}orders.svg", currency=currency).status_code == 400


def test_the_menu_leads_to_the_page(visit: Visit) -> None:
    """For viewers too."""
    assert f'href="{PAGE}"' in visit("viewer").get("/admin/").text
