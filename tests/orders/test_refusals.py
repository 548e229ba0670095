"""Every bad input of POST /api/orders/: its status, its pointers, and that nothing was stored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson
import pytest
from flask.testing import FlaskClient

from tests.sql import row_counts, sql

AProduct = Callable[..., int]

LIMIT = 64 * 1024

# How gunicorn hands over a body whose length was not announced.
CHUNKED = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}


class Bad(NamedTuple):
    """A body, and how it is answered."""

    name: str
    body: bytes
    status: int
    pointers: tuple[str, ...] = ()


def order(*items: bytes, rest: bytes = b"") -> bytes:
    """Return a body with these items as they are written."""
    return b'{"items": [' + b", ".join(items) + b"]" + rest + b"}"


def item(product_id: bytes = b"1", quantity: bytes = b"1", rest: bytes = b"") -> bytes:
    """Return an item with these values as they are written."""
    return b'{"product_id": ' + product_id + b', "quantity": ' + quantity + rest + b"}"


FINE = item()

NOT_JSON = [
    Bad("empty", b"", 400),
    Bad("blank", b" ", 400),
    Bad("cut off", b'{"items": [', 400),
    Bad("trailing comma", order(FINE, rest=b","), 400),
    Bad("two documents", order(FINE) * 2, 400),
    Bad("single quotes", b"{'items': []}", 400),
    Bad("NaN", order(item(quantity=b"NaN")), 400),
    Bad("infinite", order(item(quantity=b"1e400")), 400),
    Bad("5000 digits", order(item(quantity=b"1" * 5000)), 400),
    Bad("not UTF-8", order(FINE, rest=b', "reference": "\xff"'), 400),
    Bad("UTF-16", order(FINE).decode().encode("utf-16"), 400),
    Bad("byte order mark", b"\xef\xbb\xbf" + order(FINE), 400),
    Bad("lone surrogate", order(FINE, rest=b', "reference": "\\ud800"'), 400),
    Bad("surrogate as a name", order(FINE, rest=b', "\\udc00": 1'), 400),
    Bad("raw control character", order(FINE, rest=b', "reference": "a\nb"'), 400),
    Bad("nested 500 deep", order(b"[" * 500 + b"]" * 500), 422, ("/items/0",)),
    Bad("nested 1000 deep", order(b"[" * 1000 + b"]" * 1000), 400),
    Bad("nested 30000 deep", b"[" * 30000 + b"]" * 30000, 400),
    Bad("a name twice", order(FINE, rest=b', "items": []'), 400),
    Bad("a name twice, once escaped", order(item(rest=b', "quantit\\u0079": 5')), 400),
]

NOT_AN_ORDER = [
    Bad("null", b"null", 422, ("",)),
    Bad("a number", b"1", 422, ("",)),
    Bad("a string", b'"items"', 422, ("",)),
    Bad("a list", b"[]", 422, ("",)),
    Bad("a list of orders", b"[" + order(FINE) + b"]", 422, ("",)),
    Bad("nothing in it", b"{}", 422, ("/items",)),
    Bad("no items", order(), 422, ("/items",)),
    Bad("items null", b'{"items": null}', 422, ("/items",)),
    Bad("items an object", b'{"items": {}}', 422, ("/items",)),
    Bad("items a string", b'{"items": "11"}', 422, ("/items",)),
    Bad("101 items", order(*[FINE] * 101), 422, ("/items",)),
    Bad("an item null", order(b"null"), 422, ("/items/0",)),
    Bad("an item a number", order(FINE, b"1"), 422, ("/items/1",)),
    Bad("an empty item", order(b"{}"), 422, ("/items/0/product_id", "/items/0/quantity")),
    Bad("unknown fields", order(item(rest=b', "price": 1'), rest=b', "x": 1'), 422, ("/items/0/price", "/x")),
    Bad("fields to escape", order(FINE, rest=b', "a/b~c": 1, "": 2'), 422, ("/a~1b~0c", "/")),
    Bad("a field called json", order(FINE, rest=b', "json": 2'), 422, ("/json",)),
    Bad("a field called __proto__", order(FINE, rest=b', "__proto__": {}'), 422, ("/__proto__",)),
    Bad("a field with NUL", order(FINE, rest=b', "\\u0000": 1'), 422, ("/\x00",)),
    Bad("two faults in two lines", order(item(quantity=b"0"), item(b"-1")), 422, ("/items/0/quantity", "/items/1/product_id")),
    Bad("no such product", order(FINE, item(b"3"), item(b"4")), 422, ("/items/1/product_id", "/items/2/product_id")),
    Bad("archived product", order(FINE, item(b"2")), 422, ("/items/1/product_id",)),
    Bad("product beyond bigint", order(item(str(2**63).encode())), 422, ("/items/0/product_id",)),
    Bad("largest bigint", order(item(str(2**63 - 1).encode())), 422, ("/items/0/product_id",)),
    Bad("lines adding up", order(item(quantity=b"999999"), FINE, FINE), 422, ("/items/2/quantity",)),
]

WRONG_NUMBERS = [b"true", b"false", b"null", b"1.0", b"1e0", b'"1"', b'""', b"[1]", b"{}", b"0", b"-1", b"-0", b"1.5"]
WRONG_NUMBERS += [b"1" * 30, b"18446744073709551615", b'"\\u0000"', b'"\xd9\xa1"']
BAD_NUMBERS = [
    Bad(f"{name} {wrong.decode()}", order(item(**{name: wrong})), 422, (f"/items/0/{name}",))
    for name in ("product_id", "quantity")
    for wrong in WRONG_NUMBERS
] + [Bad("a million and one", order(item(quantity=b"1000001")), 422, ("/items/0/quantity",))]

WRONG_REFERENCES = [b"1", b"true", b"[]", b"{}", b'""', b'"' + b"x" * 65 + b'"', b'"a\\u0000b"', b'"a\\nb"', b'"\\u007f"']
WRONG_REFERENCES += [b'"\\u009b"', b'"' + "\U0001f600".encode() * 65 + b'"']
BAD_REFERENCES = [
    Bad(f"reference {wrong[:12]!r}", order(FINE, rest=b', "reference": ' + wrong), 422, ("/reference",))
    for wrong in WRONG_REFERENCES
]

ALL = NOT_JSON + NOT_AN_ORDER + BAD_NUMBERS + BAD_REFERENCES


@pytest.fixture
def shop(a_product: AProduct) -> None:
    """Sell product 1; product 2 is archived."""
    assert [a_product(), a_product()] == [1, 2]
    sql("UPDATE products SET archived_at = now() WHERE id = 2")


@contextmanager
def nothing_stored() -> Iterator[None]:
    """Check that no table has a row more or less afterwards."""
    before = row_counts()
    yield
    assert row_counts() == before


def refused(answer: Any, status: int) -> dict[str, Any]:
    """Return the problem document, checked for what all of them have."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    problem: dict[str, Any] = orjson.loads(answer.data)
    assert list(problem)[:5] == ["type", "title", "status", "detail", "request_id"]
    assert (problem["status"], problem["request_id"]) == (status, answer.headers["X-Request-ID"])
    assert problem["detail"]
    return problem


@pytest.mark.usefixtures("shop")
def test_every_bad_body_is_refused_by_name_and_nothing_is_stored(client: FlaskClient) -> None:
    """One table of bodies: status, pointers in any order, a detail each; the tables stay as they are after every single one."""
    with nothing_stored():
        assert client.post("/api/orders/", data=order(FINE), content_type="text/plain").status_code == 415
    before = row_counts()
    for bad in ALL:
        answer = client.post("/api/orders/", data=bad.body, content_type="application/json")
        assert row_counts() == before, bad.name
        assert answer.status_code == bad.status, f"{bad.name}: {answer.text}"
        faults = refused(answer, bad.status).get("errors", [])
        assert sorted(fault["pointer"] for fault in faults) == sorted(bad.pointers), bad.name
        assert all(fault["detail"] for fault in faults), bad.name


@pytest.mark.parametrize(
    ("items", "pointer", "detail"),
    [
        (b"{}", "/items", "Not a valid list."),
        (b'"two"', "/items", "Not a valid list."),
        (b"[null]", "/items/0", "Field may not be null."),
    ],
)
def test_what_is_no_list_of_lines_is_told_so(client: FlaskClient, items: bytes, pointer: str, detail: str) -> None:
    """The words are for whoever reads a client's log, and stay what they were."""
    answer = client.post("/api/orders/", data=b'{"items": ' + items + b"}", content_type="application/json")
    assert refused(answer, 422)["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.usefixtures("shop")
def test_what_is_at_the_limit_is_not_refused(client: FlaskClient) -> None:
    """The same table's neighbours that are right."""
    fine = [
        order(*[FINE] * 100),
        order(item(quantity=b"1000000")),
        order(FINE, rest=b', "reference": null'),
        order(FINE, rest=b', "reference": "' + "\U0001f600".encode() * 64 + b'"'),
        order(FINE, rest=b', "reference": "\\ud83d\\ude00"'),
        order(FINE) + b" " * (LIMIT - len(order(FINE))),
        order(FINE, rest=b', "reference": "' + b"\\u0041" * 64 + b'"'),
    ]
    for body in fine:
        assert client.post("/api/orders/", data=body, content_type="application/json").status_code == 201, body[:80]


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonx",
        "xx",
    ],
)
def test_another_content_type_is_415(client: FlaskClient, content_type: str | None) -> None:
    """A form that a foreign page posts cannot pass for JSON."""
    with nothing_stored():
        refused(client.post("/api/orders/", data=order(FINE), content_type=content_type), 415)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"])
def test_json_by_any_spelling_is_taken(client: FlaskClient, content_type: str) -> None:
    """Media types have no case, and parameters do not matter."""
    assert client.post("/api/orders/", data=order(FINE), content_type=content_type).status_code == 201


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_a_body_above_64_kib_is_413(client: FlaskClient, size: int, chunked: bool) -> None:
    """With its length announced, and in chunks whose end nobody knows beforehand."""
    body = order(FINE).ljust(size)
    with nothing_stored():
        if chunked:
            answer = client.post("/api/orders/", data=body, content_type="application/json", environ_overrides=CHUNKED)
        else:
            answer = client.post("/api/orders/", data=body, content_type="application/json")
        refused(answer, 413)


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("size", [len(order(FINE)), LIMIT - 1, LIMIT])
def test_a_body_in_chunks_is_taken_up_to_the_limit(client: FlaskClient, size: int) -> None:
    """64 KiB to the byte, whichever way it comes."""
    body = order(FINE).ljust(size)
    answer = client.post("/api/orders/", data=body, content_type="application/json", environ_overrides=CHUNKED)
    assert answer.status_code == 201


@pytest.mark.settings(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
def test_a_database_that_is_away_is_503_with_retry_after(client: FlaskClient) -> None:
    """Nobody knows the order; the client is told when to come back."""
    answers = [
        client.post("/api/orders/", data=order(FINE), content_type="application/json"),
        client.get("/api/orders/1/"),
    ]
    for answer in answers:
        assert refused(answer, 503)["title"] == "Service Unavailable"
        assert answer.headers["Retry-After"] == "2"
        assert "nobody" not in answer.text
    assert client.post("/api/orders/", data=b"{", content_type="application/json").status_code == 400
