"""GET /api/orders/: pages and filters."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp.database import reading
from orderapp.orders import pages
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.pages import Wanted
from orderapp.orders.processing import process_orders
from tests.clients import a_key, bearer, client_id
from tests.orders.examples import ANONYMOUS, TASK, placed
from tests.sql import one, sql

AProduct = Callable[..., int]

URL = "/api/orders/"


def get(client: FlaskClient, query: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return the answer's body."""
    answer = client.get(URL, query_string=query or {}, **more)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.get_json()
    assert list(body) == ["data", "next"]
    return body


def walk(client: FlaskClient, **query: Any) -> list[int]:
    """Return the ids on all pages, one after the other."""
    ids, cursor = [], None
    for _ in range(200):
        body = get(client, query | ({"cursor": cursor} if cursor else {}))
        ids += [order["id"] for order in body["data"]]
        cursor = body["next"]
        if cursor is None:
            return ids
    raise AssertionError("the pages never end")


def instant(order_id: int) -> str:
    """Return when the order was created, as the API says it."""
    created: datetime = one("SELECT created_at FROM orders WHERE id = %(id)s", id=order_id)
    return created.isoformat()


def test_orders_come_newest_first_in_the_shape_of_one(client: FlaskClient, a_product: AProduct) -> None:
    """With their lines, each as GET shows it."""
    lamp, mouse = a_product(name="Lamp"), a_product(name="Mouse")
    for _ in range(3):
        placed((mouse, 2), (lamp, 1))
    process_orders([2], TASK)
    body = get(client)
    assert [order["id"] for order in body["data"]] == [3, 2, 1]
    assert body["data"] == [client.get(f"{URL}{order_id}/").get_json() for order_id in (3, 2, 1)]
    assert body["next"] is None


def test_pages_neither_repeat_nor_miss_an_order_while_others_arrive(client: FlaskClient, a_product: AProduct) -> None:
    """New ones are before the first page; also with two of one instant."""
    lamp = a_product()
    for _ in range(5):
        placed((lamp, 1))
    sql("UPDATE orders SET created_at = '2026-01-01Z' WHERE id IN (2, 3, 4)")
    first = get(client, {"limit": 2})
    assert [order["id"] for order in first["data"]] == [5, 1]
    placed((lamp, 1))
    second = get(client, {"limit": 2, "cursor": first["next"]})
    third = get(client, {"limit": 2, "cursor": second["next"]})
    assert [order["id"] for order in second["data"] + third["data"]] == [4, 3, 2]
    assert third["next"] is None


def test_a_page_that_is_just_full_is_the_last(client: FlaskClient, a_product: AProduct) -> None:
    """No empty page follows."""
    lamp = a_product()
    for _ in range(2):
        placed((lamp, 1))
    assert get(client, {"limit": 2})["next"] is None


@pytest.fixture
def various(a_product: AProduct) -> list[dict[str, Any]]:
    """Place 24 orders of two products, three references and three outcomes, an hour apart; returns what the filters see."""
    common, rare = a_product(stock=1000), a_product(stock=1000)
    orders = []
    for number in range(24):
        items = [(common, 1), (rare, 1)] if number % 8 == 5 else [(common, 1)]
        reference = (None, "PO-1", "PO-2")[number % 3]
        orders.append({"id": placed(*items, reference=reference), "product": items, "reference": reference, "at": number})
    process_orders([order["id"] for order in orders if order["at"] % 4], TASK)
    for order in orders[::6]:
        cancel_order(order["id"], "cli:me")
    sql("UPDATE orders SET created_at = TIMESTAMPTZ '2026-01-01Z' + make_interval(hours => CAST(id AS integer) - 1)")
    for row in sql("SELECT id, status FROM orders ORDER BY id"):
        orders[row.id - 1]["status"] = row.status
    return orders


FILTERS: dict[str, tuple[Any, ...]] = {
    "status": ("confirmed", "cancelled"),
    "product": (1, 2),
    "reference": ("PO-1", "PO-9"),
    "from": (datetime.fromisoformat("2026-01-01T07:00:00Z"),),
    "to": (datetime.fromisoformat("2026-01-01T20:00:00Z"),),
}


def expected(orders: list[dict[str, Any]], asked: dict[str, Any]) -> list[int]:
    """Return the orders that fit, by counting on one's fingers."""

    def fits(order: dict[str, Any]) -> bool:
        at = datetime.fromisoformat("2026-01-01T00:00:00Z") + timedelta(hours=order["at"])
        return (
            asked.get("status", order["status"]) == order["status"]
            and asked.get("reference", order["reference"]) == order["reference"]
            and ("product" not in asked or asked["product"] in [item[0] for item in order["product"]])
            and asked.get("from", at) <= at
            and ("to" not in asked or at < asked["to"])
        )

    return [order["id"] for order in reversed(orders) if fits(order)]


@pytest.mark.parametrize("bounds", [(10_000, 1_000), (3, 2), (5, 0)])
def test_every_combination_of_filters_finds_what_fits_and_nothing_else(
    client: FlaskClient, various: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, bounds: tuple[int, int]
) -> None:
    """Over all pages; also when a page may look at a few rows only, and so ends before it is full."""
    monkeypatch.setattr(pages, "SCANNED", bounds[0])
    monkeypatch.setattr(pages, "FEW", bounds[1])
    tried = 0
    for count in range(len(FILTERS) + 1):
        for names in combinations(FILTERS, count):
            for values in product(*(FILTERS[name] for name in names)):
                asked = dict(zip(names, values, strict=True))
                query = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asked.items()}
                assert walk(client, limit=3, **query) == expected(various, asked), asked
                tried += 1
    assert tried == 108


def test_the_range_begins_with_its_first_instant_and_ends_before_its_last(client: FlaskClient, a_product: AProduct) -> None:
    """Days that are asked for one after the other have each order once."""
    lamp = a_product()
    ids = [placed((lamp, 1)) for _ in range(3)]
    assert walk(client, **{"from": instant(ids[0]), "to": instant(ids[2])}) == [ids[1], ids[0]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=1.0",
        "limit=-1",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "status=open",
        "status=",
        "product=0",
        "product=x",
        "product=9223372036854775808",
        "reference=",
        "reference=%00",
        "reference=" + "x" * 65,
        "from=yesterday",
        "from=2026-01-01",
        "from=2026-01-01T00:00:00",
        "to=2026-13-01T00:00:00Z",
        "from=0001-01-01T00:00:00%2B01:00",
        "to=9999-12-31T23:59:59-01:00",
        "client_id=2",
    ],
)
def test_a_filter_that_cannot_be_is_422_with_its_name(client: FlaskClient, query: str) -> None:
    """Unknown ones too: a misspelt filter would otherwise list everything."""
    answer = client.get(f"{URL}?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [f"/query/{query.partition('=')[0]}"]


def test_an_offset_that_postgresql_does_not_know_is_still_an_instant(client: FlaskClient, a_product: AProduct) -> None:
    """PostgreSQL ends at 15:59; found by Schemathesis as a 500."""
    order_id = placed((a_product(), 1))
    assert walk(client, **{"from": "2026-01-01T17:54:00+16:04", "to": "9999-12-31T23:59:59+23:59"}) == [order_id]


def test_a_cursor_is_of_one_list_one_filter_and_one_client(client: FlaskClient, a_product: AProduct) -> None:
    """Elsewhere it is no cursor; nor is one with a letter changed."""
    lamp = a_product()
    for _ in range(2):
        placed((lamp, 1))
        a_product()
    cursor = get(client, {"limit": 1})["next"]
    assert get(client, {"limit": 2, "cursor": cursor})["next"] is None
    alices = bearer(a_key())
    for path, headers in (
        (f"{URL}?status=pending&cursor={cursor}", {}),
        (f"/api/products/?cursor={cursor}", {}),
        (f"{URL}?cursor={cursor}", alices),
        # Not the last letter: two of its bits belong to no byte of the signature.
        (f"{URL}?cursor={cursor[:-2]}{'A' if cursor[-2] != 'A' else 'B'}{cursor[-1]}", {}),
        (f"{URL}?cursor={'A' if cursor[0] != 'A' else 'B'}{cursor[1:]}", {}),
    ):
        assert client.get(path, headers=headers).status_code == 422, path


def test_a_client_sees_only_its_own_orders(client: FlaskClient, a_product: AProduct) -> None:
    """By every filter."""
    lamp, headers = a_product(), bearer(a_key())
    own = placed((lamp, 1), client_id=client_id(), reference="PO-1")
    foreign = placed((lamp, 1), reference="PO-1")
    for query in ({}, {"status": "pending"}, {"product": lamp}, {"reference": "PO-1"}):
        assert [order["id"] for order in get(client, query, headers=headers)["data"]] == [own]
        assert [order["id"] for order in get(client, query)["data"]] == [foreign]


def test_a_page_of_a_product_that_many_orders_have_ends_at_its_bound(
    a_product: AProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says where it stopped, with or without an order found."""
    monkeypatch.setattr(pages, "SCANNED", 2)
    monkeypatch.setattr(pages, "FEW", 0)
    lamp, mouse = a_product(), a_product()
    ids = [placed((thing, 1)) for thing in (mouse, lamp, lamp)]
    with reading() as session:
        first = pages.find(session, Wanted(ANONYMOUS, 20, product=mouse))
        second = pages.find(session, Wanted(ANONYMOUS, 20, product=mouse, after=first.end))
    assert (first.order_ids, first.end is None) == ([], False)
    assert (second.order_ids, second.end) == (ids[:1], None)
