"""/api/products/: the catalogue for integrators."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orderapp.products.changes import ProductChange
from orderapp.products.editing import archive_product, edit_product
from tests.orders.examples import ledger_is_right, placed
from tests.sql import one, row_counts, sql
from tests.threads import at_once
from tests.wire import listening

AProduct = Callable[..., int]

URL = "/api/products/"

NAMES = ["id", "name", "price", "stock", "archived", "created_at"]


def refused(answer: Any, status: int) -> dict[str, Any]:
    """Return the problem that the answer tells."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.get_json()
    return problem


def pointers(answer: Any) -> list[str]:
    """Return what a 422 points at."""
    return [error["pointer"] for error in refused(answer, 422)["errors"]]


def test_a_product_is_created_with_its_opening_and_shown(client: FlaskClient) -> None:
    """201 with its address; money as text; the audit log names the client."""
    answer = client.post(URL, json={"name": "Lamp", "price": "2.5", "stock": 3})
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{URL}1/")
    body = answer.get_json()
    assert list(body) == NAMES
    assert (body["name"], body["price"], body["stock"], body["archived"]) == ("Lamp", "2.50", 3, False)
    shown = client.get(f"{URL}1/")
    assert (shown.data, shown.headers["ETag"]) == (answer.data, answer.headers["ETag"])
    assert sql("SELECT actor, action, subject_id FROM audit_log") == [("api:anonymous", "create", 1)]
    assert ledger_is_right()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ["/name", "/price"]),
        ({"name": "Lamp", "price": 2.5}, ["/price"]),
        ({"name": "Lamp", "price": 2}, ["/price"]),
        ({"name": "Lamp", "price": "2.505"}, ["/price"]),
        ({"name": "Lamp", "price": "-1"}, ["/price"]),
        ({"name": "Lamp", "price": "1e3"}, ["/price"]),
        ({"name": "Lamp", "price": "2.50\n"}, ["/price"]),
        ({"name": "Lamp", "price": "\u0662"}, ["/price"]),
        ({"name": "Lamp", "price": None}, ["/price"]),
        ({"name": "\x00", "price": "1"}, ["/name"]),
        ({"name": "\u200b", "price": "1"}, ["/name"]),
        ({"name": " ", "price": "1"}, ["/name"]),
        ({"name": "x" * 201, "price": "1"}, ["/name"]),
        ({"name": "Lamp", "price": "1", "stock": "1"}, ["/stock"]),
        ({"name": "Lamp", "price": "1", "stock": True}, ["/stock"]),
        ({"name": "Lamp", "price": "1", "stock": -1}, ["/stock"]),
        ({"name": "Lamp", "price": "1", "stock": 10**18}, ["/stock"]),
        ({"name": "Lamp", "price": "1", "id": 7}, ["/id"]),
        ({"name": "Lamp", "price": "1", "archived_at": None}, ["/archived_at"]),
        ([], [""]),
    ],
)
def test_a_product_with_faults_is_refused_with_a_pointer_for_each(client: FlaskClient, body: Any, pointer: list[str]) -> None:
    """And nothing is stored."""
    before = row_counts()
    assert pointers(client.post(URL, json=body)) == pointer
    assert row_counts() == before


def test_pages_lead_through_all_products_once(client: FlaskClient, a_product: AProduct) -> None:
    """The archived ones too; the last page says so."""
    for number in range(5):
        a_product(name=f"Thing {number}")
    archive_product(2, actor="alice")
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        body = client.get(URL, query_string={"limit": 2} | ({"cursor": cursor} if cursor else {})).get_json()
        assert list(body) == ["data", "next"]
        seen += [(product["id"], product["archived"]) for product in body["data"]]
        cursor, pages = body["next"], pages + 1
    assert seen == [(1, False), (2, True), (3, False), (4, False), (5, False)]
    assert pages == 3


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=1_0", "limit=%D9%A2", "limit=", "page=2", "cursor=x"]
)
def test_a_page_that_cannot_be_is_422(client: FlaskClient, query: str) -> None:
    """With the parameter's name."""
    assert pointers(client.get(f"{URL}?{query}")) == [f"/query/{query.partition('=')[0]}"]


@pytest.mark.parametrize("change", [{"name": "Lantern"}, {"price": "3.00"}])
def test_a_change_is_shown_with_its_new_version(client: FlaskClient, a_product: AProduct, change: dict[str, str]) -> None:
    """Without If-Match nothing is asked."""
    a_product(name="Lamp", price="2.50")
    before = client.get(f"{URL}1/")
    answer = client.patch(f"{URL}1/", json=change)
    assert answer.status_code == 200
    assert answer.get_json() == before.get_json() | change
    assert answer.headers["ETag"] != before.headers["ETag"]
    assert one("SELECT actor FROM audit_log WHERE action = 'edit'") == "api:anonymous"


@pytest.mark.parametrize("body", [{}, {"stock": 1}, {"archived": True}, {"name": None}, {"price": 1.0}])
def test_a_change_of_anything_else_is_refused(client: FlaskClient, a_product: AProduct, body: dict[str, Any]) -> None:
    """Stock above all: it is moved, never set."""
    a_product()
    before = row_counts()
    assert pointers(client.patch(f"{URL}1/", json=body)) == [f"/{next(iter(body))}" if body else ""]
    assert row_counts() == before


def test_a_sale_leaves_the_version_as_it_is(client: FlaskClient, a_product: AProduct) -> None:
    """Otherwise nobody could edit what sells well."""
    a_product(stock=5)
    version = client.get(f"{URL}1/").headers["ETag"]
    answer = client.post(f"{URL}1/restock/", json={"quantity": -2, "reason": "broken"})
    assert (answer.status_code, answer.get_json()["stock"]) == (200, 3)
    assert answer.headers["ETag"] == version


@pytest.mark.parametrize("other", [{"name": "Lantern"}, {"price": "2.51"}, "archive/"])
def test_a_change_of_an_outdated_version_is_412_and_changes_nothing(
    client: FlaskClient, a_product: AProduct, other: dict[str, str] | str
) -> None:
    """What was read is named by If-Match; somebody else was faster."""
    a_product(price="2.50")
    read = {"If-Match": client.get(f"{URL}1/").headers["ETag"]}
    if isinstance(other, str):
        assert client.post(f"{URL}1/{other}", headers=read).get_json()["archived"] is True
    else:
        assert client.patch(f"{URL}1/", json=other, headers=read).status_code == 200
    before = row_counts()
    refused(client.patch(f"{URL}1/", json={"name": "Lost"}, headers=read), 412)
    refused(client.post(f"{URL}1/archive/", headers=read), 412)
    assert row_counts() == before
    assert one("SELECT count(*) FROM products WHERE name = 'Lost'") == 0


@pytest.mark.parametrize(
    ("header", "status"), [("*", 200), ('"x", {tag}', 200), ('"x"', 412), ("W/{tag}", 412), ("", 412), ("{bare}", 200)]
)
def test_if_match_is_read_as_http_has_it(client: FlaskClient, a_product: AProduct, header: str, status: int) -> None:
    """Any of a list; a weak tag never matches; an empty header is a condition that nothing meets."""
    a_product()
    tag = client.get(f"{URL}1/").headers["ETag"]
    value = header.format(tag=tag, bare=tag.strip('"'))
    assert client.patch(f"{URL}1/", json={"name": "Lantern"}, headers={"If-Match": value}).status_code == status


def test_the_version_is_compared_under_the_lock(app: Flask, client: FlaskClient, a_product: AProduct) -> None:
    """Another change between the request and the lock is noticed; compared in the door, it would be lost."""
    a_product()
    read = {"If-Match": client.get(f"{URL}1/").headers["ETag"]}

    def interfere() -> None:
        (done,) = at_once(app, lambda: edit_product(1, ProductChange(name="Faster"), actor="bob"))
        assert done is None

    with listening() as wire:
        wire.before("FOR NO KEY UPDATE", interfere)
        refused(client.patch(f"{URL}1/", json={"name": "Slower"}, headers=read), 412)
    assert one("SELECT name FROM products") == "Faster"


def test_an_archived_product_can_no_longer_be_ordered(client: FlaskClient, a_product: AProduct) -> None:
    """Nor is it gone."""
    a_product()
    answer = client.post(f"{URL}1/archive/")
    assert (answer.status_code, answer.get_json()["archived"]) == (200, True)
    assert pointers(client.post("/api/orders/", json={"items": [{"product_id": 1, "quantity": 1}]})) == ["/items/0/product_id"]
    assert client.get(f"{URL}1/").get_json()["archived"] is True


def test_a_restock_moves_the_ledger_with_its_reason(client: FlaskClient, a_product: AProduct) -> None:
    """By so much, never to so much; below zero is a conflict."""
    placed((a_product(stock=2), 1))
    assert client.post(f"{URL}1/restock/", json={"quantity": 5, "reason": "delivery"}).get_json()["stock"] == 7
    refused(client.post(f"{URL}1/restock/", json={"quantity": -8, "reason": "fire"}), 409)
    assert one("SELECT actor, reason FROM audit_log WHERE action = 'restock'") == ("api:anonymous", "delivery")
    assert ledger_is_right()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ["/quantity", "/reason"]),
        ({"quantity": 0, "reason": "x"}, ["/quantity"]),
        ({"quantity": 1.0, "reason": "x"}, ["/quantity"]),
        ({"quantity": 10**12 + 1, "reason": "x"}, ["/quantity"]),
        ({"quantity": 1, "reason": " "}, ["/reason"]),
        ({"quantity": 1, "reason": "a\x00b"}, ["/reason"]),
        ({"quantity": 1, "reason": "x" * 501}, ["/reason"]),
        ({"quantity": 1, "reason": "x", "stock": 5}, ["/stock"]),
    ],
)
def test_a_restock_with_faults_is_refused(client: FlaskClient, a_product: AProduct, body: Any, pointer: list[str]) -> None:
    """Nothing is moved."""
    a_product()
    before = row_counts()
    assert pointers(client.post(f"{URL}1/restock/", json=body)) == pointer
    assert row_counts() == before


@pytest.mark.parametrize("path", ["4711/", f"{2**63 - 1}/", "0/", "-1/", "x/"])
def test_a_product_that_is_not_there_is_404(client: FlaskClient, path: str) -> None:
    """For every question and every change."""
    before = row_counts()
    refused(client.get(f"{URL}{path}"), 404)
    refused(client.patch(f"{URL}{path}", json={"name": "x"}), 404)
    refused(client.post(f"{URL}{path}archive/"), 404)
    refused(client.post(f"{URL}{path}restock/", json={"quantity": 1, "reason": "x"}), 404)
    assert row_counts() == before
