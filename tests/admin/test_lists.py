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
    sql("UPDATE orders SET created_at = '2026-03-28T12:00:00Z' WHERE id < 9")
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
        ("until=2026-03-27", []),
        ("until=2026-03-28", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("since=2026-03-30&after=117", [120, 119, 118]),
        ("since=2026-03-28&q=7", [7]),
        ("since=2026-03-30&q=7", []),
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


def test_parked_events_are_found_by_their_queue(visit: Visit, rows: Rows) -> None:
    """No worker has that queue, but its rows park as well."""
    sql("UPDATE outbox SET queue = 'events', task = 'events.publish' WHERE id = %(id)s", id=rows.parked)
    answer = visit("operator").get("/admin/parked/?queue=events")
    assert alerts(answer) == ""
    assert "events.publish" in answer.text


def test_an_orders_page_shows_all_that_belongs_to_it(visit: Visit, rows: Rows) -> None:
    """Lines, events, movements, deliveries, attempts, claim."""
    page = visit("viewer").get(f"/admin/orders/details/?id={rows.confirmed}").text
    task = one("SELECT task_id FROM orders WHERE id = %(id)s", id=rows.confirmed)
    for words in (task, "5.00 USD", "Placed", "Confirmed", "Taken from stock", "exhausted", "Lease until", "Rescue at", "2.50"):
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


def test_what_no_index_finds_is_looked_for_so_many_rows_at_a_time(many: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page without a find says how far it looked, and Older looks on until the end; Newer leads back."""
    monkeypatch.setattr(queries, "SCANNED", 50)
    page = many.get("/admin/orders/?q=O_7").text
    assert (listed(page), "as far as number 71" in page) == ([], True)
    page = many.client.get(links(page)["Older"]).text
    assert (listed(page), "as far as number 21" in page) == ([], True)
    page = many.client.get(links(page)["Older"]).text
    assert (listed(page), "Searched" in page, "Older" in links(page)) == ([7], False, False)
    page = many.client.get(links(page)["Newer"]).text
    assert (listed(page), "as far as number 57" in page) == ([], True)
    assert "after=57" in links(page)["Newer"]


def test_a_search_names_an_order_however_old_it_is(many: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its number or its whole reference, of whichever client; others whose references only contain it are left out."""
    monkeypatch.setattr(queries, "SCANNED", 2)
    sql("INSERT INTO api_clients (id, name) VALUES (7, 'other')")
    sql("UPDATE orders SET reference = 'PO-1', client_id = 7 WHERE id = 3")
    sql("UPDATE orders SET reference = 'PO-1' WHERE id = 5")
    sql("UPDATE orders SET reference = 'PO-1000' WHERE id = 120")
    for query, found in (
        ("q=4", [4]),
        ("q=PO-1", [5, 3]),
        ("q=PO-1&before=5", [3]),
        ("q=PO-1&status=failed", []),
        ("q=PO-", [120]),
    ):
        assert listed(many.client.get(f"/admin/orders/?{query}").text) == found, query


def test_the_lines_of_a_product_are_on_exactly_one_page_each(many: Visitor) -> None:
    """They are gone through by their orders, whatever the order of the lines."""
    sql("INSERT INTO products (name, price) VALUES ('Lamp', 1), ('Chair', 1)")
    lines = "INSERT INTO order_items (order_id, product_id, quantity, unit_price)"
    sql(f"{lines} SELECT n, 1, 1, 1 FROM generate_series(120, 1, -1) AS n")
    sql(f"{lines} SELECT n, 2, 1, 1 FROM generate_series(1, 120) AS n")
    page, seen = many.get("/admin/items/?product=1").text, []
    while True:
        seen += listed(page)
        if "Older" not in links(page):
            break
        page = many.client.get(links(page)["Older"]).text
    assert seen == list(range(120, 0, -1))


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
