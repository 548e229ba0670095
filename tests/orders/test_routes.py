"""POST and GET /api/orders/: the shapes of the contract."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from orderapp.orders.processing import process_orders
from tests.orders.examples import a_task, placed
from tests.sql import one, row_counts, sql

AProduct = Callable[..., int]

NAMES = [
    "id",
    "status",
    "total_amount",
    "currency",
    "reference",
    "webhook_sent",
    "items",
    "failure_reason",
    "created_at",
]


@pytest.fixture
def shop(a_product: AProduct) -> None:
    """Sell the two products of the contract's example."""
    assert a_product(stock=10, price="55000", name="Laptop") == 1
    assert a_product(stock=50, price="500", name="Mouse") == 2


EXAMPLE = {"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]}


@pytest.mark.usefixtures("shop")
def test_a_post_answers_201_with_the_order_and_where_it_is(client: FlaskClient) -> None:
    """The document of the contract, names in its order."""
    answer = client.post("/api/orders/", json=EXAMPLE)

    assert (answer.status_code, answer.mimetype) == (201, "application/json")
    assert answer.headers["Location"] == "/api/orders/1/"
    order = answer.get_json()
    created = order.pop("created_at")
    assert order == {
        "id": 1,
        "status": "pending",
        "total_amount": None,
        "currency": "USD",
        "reference": None,
        "webhook_sent": False,
        "items": [
            {"id": 1, "product": "Laptop", "product_id": 1, "quantity": 2, "unit_price": "55000.00"},
            {"id": 2, "product": "Mouse", "product_id": 2, "quantity": 1, "unit_price": "500.00"},
        ],
        "failure_reason": None,
    }
    assert list(answer.get_json()) == NAMES
    assert list(answer.get_json()["items"][0]) == ["id", "product", "product_id", "quantity", "unit_price"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(created)) < timedelta(seconds=10)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", created)


@pytest.mark.usefixtures("shop")
def test_get_shows_byte_for_byte_what_the_post_answered(client: FlaskClient) -> None:
    """Until a worker comes, nothing differs, time included."""
    posted = client.post("/api/orders/", json=EXAMPLE | {"reference": "PO-1"})
    shown = client.get(posted.headers["Location"])
    assert shown.status_code == 200
    assert shown.data == posted.data
    assert shown.get_json()["reference"] == "PO-1"


@pytest.mark.usefixtures("shop")
def test_a_confirmed_order_shows_its_total(client: FlaskClient) -> None:
    """110500.00, as in the user's own example."""
    client.post("/api/orders/", json=EXAMPLE)
    process_orders([1], a_task())
    order = client.get("/api/orders/1/").get_json()
    assert (order["status"], order["total_amount"], order["failure_reason"]) == ("confirmed", "110500.00", None)
    assert list(order) == NAMES


@pytest.mark.usefixtures("shop")
def test_a_failed_order_shows_all_its_shortages(client: FlaskClient) -> None:
    """The client need not find them out one by one."""
    client.post("/api/orders/", json={"items": [{"product_id": 1, "quantity": 11}, {"product_id": 2, "quantity": 51}]})
    process_orders([1], a_task())
    order = client.get("/api/orders/1/").get_json()
    assert (order["status"], order["total_amount"]) == ("failed", None)
    assert order["failure_reason"] == {
        "code": "insufficient_stock",
        "shortages": [
            {"product_id": 1, "requested": 11, "available": 10},
            {"product_id": 2, "requested": 51, "available": 50},
        ],
    }


@pytest.mark.settings(CURRENCY="EUR")
@pytest.mark.usefixtures("shop")
def test_the_currency_is_the_setting_of_the_day_of_the_order(client: FlaskClient) -> None:
    """It is written on the order, not looked up later."""
    client.post("/api/orders/", json=EXAMPLE)
    assert one("SELECT currency FROM orders") == "EUR"
    sql("UPDATE orders SET currency = 'SEK'")
    assert client.get("/api/orders/1/").get_json()["currency"] == "SEK"


@pytest.mark.usefixtures("shop")
def test_a_product_named_twice_is_shown_once(client: FlaskClient) -> None:
    """Two lines of one product are merged."""
    item = {"product_id": 2, "quantity": 3}
    answer = client.post("/api/orders/", json={"items": [item, item]})
    assert [(line["product_id"], line["quantity"]) for line in answer.get_json()["items"]] == [(2, 6)]


def test_the_largest_order_there_can_be_is_taken_and_settled(client: FlaskClient, a_product: AProduct) -> None:
    """100 items, a million each, at the dearest price: exact to the cent."""
    products = [a_product(stock=1_000_000, price="9999999999.99") for _ in range(100)]
    items = [{"product_id": product, "quantity": 1_000_000} for product in products]
    assert client.post("/api/orders/", json={"items": items}).status_code == 201
    process_orders([1], a_task())
    assert client.get("/api/orders/1/").get_json()["total_amount"] == "999999999999000000.00"


@pytest.mark.usefixtures("shop")
def test_the_answer_carries_the_request_id_and_so_does_the_message(client: FlaskClient) -> None:
    """From a client's log line to the worker's."""
    answer = client.post("/api/orders/", json=EXAMPLE, headers={"X-Request-ID": "from-the-client-1"})
    assert answer.headers["X-Request-ID"] == "from-the-client-1"
    assert one("SELECT headers FROM outbox") == {"request_id": "from-the-client-1"}


@pytest.mark.parametrize("path", ["1", "0", str(2**63 - 1), str(2**63), "9" * 400, "-1", "x", "1.0", "%00"])
def test_an_order_that_is_not_there_is_404(client: FlaskClient, path: str) -> None:
    """However large or strange the id: no number can make PostgreSQL refuse the question."""
    answer = client.get(f"/api/orders/{path}/")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_somebody_elses_order_is_404_in_the_same_words(client: FlaskClient, a_product: AProduct) -> None:
    """The answer does not tell whether there is such an order."""
    stranger = one("INSERT INTO api_clients (name) VALUES ('Charlie') RETURNING id")
    foreign = placed((a_product(), 1), client_id=stranger)
    answer, missing = client.get(f"/api/orders/{foreign}/"), client.get("/api/orders/4711/")
    assert answer.status_code == missing.status_code == 404
    assert answer.get_json()["detail"] == missing.get_json()["detail"].replace("4711", str(foreign))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("DELETE", "/api/orders/1/", {"GET", "HEAD", "OPTIONS"}), ("PUT", "/api/orders/", {"POST", "OPTIONS"})],
)
def test_a_wrong_method_is_405_and_says_which_are_right(client: FlaskClient, method: str, path: str, allowed: set[str]) -> None:
    """Allow is what RFC 9110 asks for."""
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert allowed <= set(answer.headers["Allow"].split(", "))


def test_a_path_without_its_slash_is_redirected_with_its_method(client: FlaskClient) -> None:
    """308 and not 301: a client repeats the POST instead of asking with GET."""
    answer = client.post("/api/orders", json=EXAMPLE)
    assert (answer.status_code, answer.headers["Location"].endswith("/api/orders/")) == (308, True)


def test_head_and_get_change_nothing(client: FlaskClient, a_product: AProduct) -> None:
    """Reads end without a trace."""
    placed((a_product(), 1))
    before = row_counts()
    assert client.head("/api/orders/1/").status_code == 200
    assert client.get("/api/orders/1/").status_code == 200
    assert row_counts() == before
