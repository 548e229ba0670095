"""Lists: newest first, paged by key, narrowed by filters."""

import re
from collections.abc import Callable

import pytest

from orderapp.admin import queries
from tests.admin.examples import SCRIPT, Rows
from tests.admin.visitors import Visitor, alerts
from tests.sql import one, sql

Visit = Callable[[str], Visitor]


@pytest.fixture
def many(visit: Visit) -> Visitor:
    """Return a viewer of 120 orders, order 7 of which has a reference and order 8 failed."""
    sql("INSERT INTO orders (client_id, currency, rescue_at) SELECT 1, 'USD', now() FROM generate_series(1, 120)")
    sql("UPDATE orders SET reference = 'PO_7%%x' WHERE id = 7")
    sql("UPDATE orders SET created_at = '2026-03-29T23:30:00Z' WHERE id = 9")
    return visit("viewer")


def listed(page: str) -> list[int]:
    """Return the orders of a page, as they stand there."""
    return [int(number) for number in re.findall(r"/admin/orders/details/\?id=(\d+)", page)]


def links(page: str) -> dict[str, str]:
    """Return where Newest, Newer and Older lead."""
    found = re.findall(r'href="([^"]+)">(Newest|Newer|Older)<', page)
    return {words: address.replace("&amp;", "&") for address, words in found}


def test_every_order_is_on_exactly_one_page_there_and_back(many: Visitor) -> None:
    """Newest first; orders that come in between move no page."""
    page, seen = many.get("/admin/orders/").text, []
    while True:
        seen.append(listed(page))
        if "Older" not in links(page):
            break
        page = many.client.get(links(page)["Older"]).text
        sql("INSERT INTO orders (client_id, currency, rescue_at) VALUES (1, 'USD', now())")
    assert [number for numbers in seen for number in numbers] == list(range(120, 0, -1))
    assert [len(numbers) for numbers in seen] == [queries.PAGE, queries.PAGE, 20]
    page = many.client.get(links(page)["Newer"]).text
    assert listed(page) == seen[1]
    assert listed(many.client.get(links(page)["Newest"]).text)[0] == 122


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=7", [7]),
        ("q=PO_7%25x", [7]),
        ("q=po_7", [7]),
        ("q=%25", [7]),
        ("q=PO-7", []),
        ("q=7777", []),
        ("status=confirmed", []),
        ("since=2026-03-29&until=2026-03-29", [9]),
        ("until=2026-03-28", []),
        ("since=2026-03-30&q=7", [7]),
        ("before=3", [2, 1]),
        ("after=118", [120, 119]),
        ("after=120", []),
    ],
)
def test_orders_are_found_by_number_reference_status_and_day(many: Visitor, query: str, found: list[int]) -> None:
    """A reference by any part of it, literally; a day is one of UTC."""
    answer = many.client.get(f"/admin/orders/?{query}")
    assert listed(answer.text) == found
    assert bool(found) or "No order fits." in answer.text


def test_filters_stay_while_paging(many: Visitor) -> None:
    """And the search's own fields show them."""
    page = many.get("/admin/orders/?status=pending&since=2026-01-01").text
    older = links(page)["Older"]
    assert "status=pending" in older
    assert "since=2026-01-01" in older
    assert "<option selected>pending" in page


@pytest.mark.parametrize("query", ["status=lost", "since=yesterday", "until=2026-02-30", "before=x", "after=-1"])
def test_a_filter_that_makes_no_sense_is_told_and_finds_nothing(many: Visitor, query: str) -> None:
    """Showing everything instead would look like an answer."""
    answer = many.client.get(f"/admin/orders/?{query}")
    assert alerts(answer)
    assert listed(answer.text) == []


@pytest.mark.parametrize(
    ("address", "inside", "outside"),
    [
        ("/admin/products/?state=archived", "Old lamp", "on sale</span>"),
        ("/admin/products/?q=lamp", "Old lamp", "&lt;script"),
        ("/admin/items/?order=1", "details/?id=1", "orders/details/?id=2"),
        ("/admin/items/?product=99", "No line fits.", "orders/details"),
        ("/admin/deliveries/?order=1&state=exhausted", "order.confirmed", "order.failed"),
        ("/admin/parked/?queue=webhooks", "Nothing is parked.", "orders.process"),
        ("/admin/audit/?subject=order&actor=cli:me", "order 3", "product 2"),
        ("/admin/audit/?subject=product&subject_id=2", "product 2", "order 3"),
    ],
)
def test_each_list_is_narrowed_by_its_filters(visit: Visit, rows: Rows, address: str, inside: str, outside: str) -> None:
    """What fits is there, the rest is not."""
    table = visit("superuser").client.get(address).text.partition("<tbody>")[2]
    assert inside in table
    assert outside not in table
    assert rows.product


def test_an_orders_page_shows_all_that_belongs_to_it(visit: Visit, rows: Rows) -> None:
    """Lines, events, movements, deliveries, attempts, claim."""
    page = visit("viewer").get(f"/admin/orders/details/?id={rows.confirmed}").text
    task = one("SELECT task_id FROM orders WHERE id = %(id)s", id=rows.confirmed)
    for words in (task, "5.00 USD", "order.placed", "order.confirmed", "sale", "exhausted", "Lease until", "Rescue at", "2.50"):
        assert str(words) in page, words
    assert page.count("&lt;script&gt;") >= 3
    assert SCRIPT not in page
    assert "<form" not in page.partition("<main")[2]


def test_buttons_are_offered_where_they_can_work(visit: Visit, rows: Rows) -> None:
    """A failed order offers Retry and no Cancel, a confirmed one the other way round."""
    operator = visit("operator")
    pages = {name: operator.get(f"/admin/orders/details/?id={getattr(rows, name)}").text for name in ("failed", "confirmed")}
    assert [('value="retry"' in pages[name], 'value="cancel"' in pages[name]) for name in pages] == [
        (True, False),
        (False, True),
    ]


def test_a_page_costs_no_count_and_no_sort(many: Visitor) -> None:
    """The plan of the first page walks the key backwards and stops after 51 rows."""
    sql("INSERT INTO orders (client_id, currency, rescue_at) SELECT 1, 'USD', now() FROM generate_series(1, 20000)")
    sql("ANALYZE orders")
    plan = "\n".join(
        row[0] for row in sql("EXPLAIN SELECT orders.* FROM orders WHERE true AND id < 15000 ORDER BY id DESC LIMIT 51")
    )
    assert "Index Scan Backward using orders_pkey" in plan
    assert "Sort" not in plan
    assert many.get("/admin/orders/?before=15000").status_code == 200
