"""Bad bodies for every route that takes one: how each is answered, where the fault is, and that nothing is stored."""

import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api_routes import ROUTES
from tests.orders.examples import placed
from tests.orders.test_refusals import CHUNKED, nothing_stored, refused
from tests.servers.processes import Processes
from tests.sql import row_counts, sql

# (method, path, a body that is right) of each.
Target = tuple[str, str, bytes]

# Not JSON, or not unambiguously: 400 on every route. FINE is the right body, CORE what stands between its braces.
UNREADABLE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _fine: b"",
    "blank": lambda _fine: b" \n\t",
    "a word": lambda _fine: b"order",
    "two documents": lambda fine: fine + fine,
    "a comma too many": lambda fine: fine[:-1] + b",}",
    "a comment": lambda fine: fine[:-1] + b"/* */}",
    "single quotes": lambda fine: fine.replace(b'"', b"'"),
    "NaN": lambda fine: fine[:-1] + b', "x": NaN}',
    "infinite": lambda fine: fine[:-1] + b', "x": -Infinity}',
    "beyond a double": lambda fine: fine[:-1] + b', "x": 1e400}',
    "5000 digits": lambda fine: fine[:-1] + b', "x": ' + b"9" * 5000 + b"}",
    "a leading zero": lambda fine: fine[:-1] + b', "x": 01}',
    "hexadecimal": lambda fine: fine[:-1] + b', "x": 0x1}',
    "not UTF-8": lambda fine: fine[:-1] + b', "x": "\xff"}',
    "overlong UTF-8": lambda fine: fine[:-1] + b', "x": "\xc0\x80"}',
    "UTF-8 of a surrogate": lambda fine: fine[:-1] + b', "x": "\xed\xa0\x80"}',
    "half a surrogate pair": lambda fine: fine[:-1] + b', "x": "\\ud83d"}',
    "UTF-16": lambda fine: fine.decode().encode("utf-16"),
    "UTF-32": lambda fine: fine.decode().encode("utf-32"),
    "a byte order mark": lambda fine: b"\xef\xbb\xbf" + fine,
    "a raw NUL": lambda fine: fine[:-1] + b', "x": "\x00"}',
    "a raw line end": lambda fine: fine[:-1] + b', "x": "a\nb"}',
    "an unknown escape": lambda fine: fine[:-1] + b', "x": "\\x41"}',
    "every name twice": lambda fine: fine[:-1] + b"," + fine[1:],
    "a name twice, once escaped": lambda fine: fine[:-1] + b', "x": 1, "\\u0078": 2}',
    "a name twice, further down": lambda fine: fine[:-1] + b', "x": {"y": {"z": 1, "z": 1}}}',
    "lists 30000 deep": lambda _fine: b"[" * 30_000 + b"]" * 30_000,
    "objects 10000 deep": lambda _fine: b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "open lists": lambda _fine: b"[" * 60_000,
    "gzip": lambda _fine: bytes.fromhex("1f8b0800000000000003ab0500"),
}

# Readable, and no object: 422 that points at the whole.
NO_OBJECT = [b"null", b"true", b"0", b"-1.5", b'""', b'"{}"', b"[]", b"[null]", b"[[]]"]

NOT_JSON = ["text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", "*/*"]
NOT_JSON += ["application/xml", "application/x-ndjson", "application/json-patch+json", "application/jsonx", "", "\x00", "\xe9"]


@pytest.fixture
def targets(app: Flask, a_product: Callable[..., int]) -> list[Target]:
    """Return every route that takes a body; the body is looked at before the thing that the address names."""
    placed((a_product(stock=100), 1))
    return list(_targets(app))


def _targets(app: Flask) -> Iterator[Target]:
    for (method, endpoint), route in ROUTES.items():
        if "json" in route.request:
            (rule,) = [rule for rule in app.url_map.iter_rules(endpoint) if method in (rule.methods or ())]
            with app.test_request_context():
                path = app.url_for(endpoint, **dict.fromkeys(rule.arguments, 1))
            yield method, path, orjson.dumps(route.request["json"])


def send(client: FlaskClient, target: Target, body: bytes, **kwargs: Any) -> Any:
    """Send a body to a route, as JSON unless something else is said."""
    method, path, _ = target
    return client.open(path, method=method, data=body, **{"content_type": "application/json"} | kwargs)


def test_there_are_routes_that_take_a_body(targets: list[Target]) -> None:
    """At least the POST of an order and of a product, and the PATCH of one."""
    assert len(targets) >= 3


def test_what_cannot_be_read_is_400_everywhere(client: FlaskClient, targets: list[Target]) -> None:
    """The detail says so in words; no route reads it in a way of its own."""
    with nothing_stored():
        for target in targets:
            for name, spoil in UNREADABLE.items():
                answer = send(client, target, spoil(target[2]))
                assert answer.status_code == 400, f"{name} to {target[1]}: {answer.text}"
                refused(answer, 400)


def test_a_body_that_is_cut_off_is_400_wherever_it_is_cut(client: FlaskClient, targets: list[Target]) -> None:
    """At every byte; no beginning of an order is an order."""
    with nothing_stored():
        for target in targets:
            for end in range(len(target[2])):
                assert send(client, target, target[2][:end]).status_code == 400, target[2][:end]


def test_what_is_no_object_is_422_as_a_whole(client: FlaskClient, targets: list[Target]) -> None:
    """The pointer of the whole document is the empty one."""
    with nothing_stored():
        for target in targets:
            for body in NO_OBJECT:
                problem = refused(send(client, target, body), 422)
                assert [fault["pointer"] for fault in problem["errors"]] == [""], body


def test_what_is_not_declared_as_json_is_415_everywhere(client: FlaskClient, targets: list[Target]) -> None:
    """A form of a foreign page can be sent with these types without asking; JSON cannot."""
    with nothing_stored():
        for target in targets:
            for media_type in NOT_JSON:
                refused(send(client, target, target[2], content_type=media_type), 415)


def test_what_is_too_large_is_413_everywhere(client: FlaskClient, targets: list[Target]) -> None:
    """Announced or in chunks."""
    with nothing_stored():
        for target in targets:
            large = target[2].ljust(64 * 1024 + 1)
            refused(send(client, target, large), 413)
            refused(send(client, target, large, environ_overrides=CHUNKED), 413)


def test_every_column_of_every_table_is_an_unknown_field(client: FlaskClient, targets: list[Target]) -> None:
    """Nobody sets a status, an owner or a price by naming its column; the pointer names it."""
    tables = sql("SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1")
    columns = {name for (name,) in tables}
    assert {"status", "client_id", "total_amount", "webhook_sent", "stock", "unit_price"} < columns
    with nothing_stored():
        for target in targets:
            fine = orjson.loads(target[2])
            taken = TAKEN[target[1].split("/")[2]]
            for column in columns - taken | {"__class__", "constructor"}:
                problem = refused(send(client, target, orjson.dumps(fine | {column: 1})), 422)
                assert [fault["pointer"] for fault in problem["errors"]] == [f"/{column}"], target


# Names of columns that routes do take.
TAKEN = {
    "orders": {"reference"},
    "products": {"name", "price", "stock", "reason", "quantity"},
    "webhook-endpoints": {"url", "event_types", "description", "active", "state", "type", "order_id"},
}


def test_no_column_is_taken_inside_a_line_of_an_order(client: FlaskClient, targets: list[Target]) -> None:
    """Above all not the price."""
    assert targets
    tables = sql("SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = 'public'")
    with nothing_stored():
        for (column,) in tables:
            if column not in {"product_id", "quantity"}:
                body = {"items": [{"product_id": 1, "quantity": 1, column: 1}]}
                problem = refused(client.post("/api/orders/", json=body), 422)
                assert [fault["pointer"] for fault in problem["errors"]] == [f"/items/0/{column}"]


# As JSON writes them.
NO_MONEY = ["1", "1.5", "0.1", "1e2", "-0", "1.0000000000000001", "true", "null", "[]", "{}"]
NO_MONEY += [
    '"1,50"',
    '"1.505"',
    '"-1"',
    '"+1"',
    '" 1"',
    '"1 "',
    '"1\\n"',
    '"1\\u0000"',
    '"1e2"',
    '"NaN"',
    '"Infinity"',
    '"0x1"',
]
NO_MONEY += ['""', '"1_0"', '".5"', '"5."', '"\u0661"', '"$1"', '"10000000000.00"', f'"{"9" * 400}"']


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/products/"), ("PATCH", "/api/products/1/")])
def test_money_is_text_with_two_decimals_and_nothing_else(
    client: FlaskClient, targets: list[Target], method: str, path: str
) -> None:
    """A JSON number is read as a float by most programs: 0.1 is not a tenth."""
    assert targets
    with nothing_stored():
        for price in NO_MONEY:
            body = f'{{"name": "Lamp", "price": {price}}}'.encode()
            problem = refused(send(client, (method, path, b""), body), 422)
            assert [fault["pointer"] for fault in problem["errors"]] == ["/price"], price


BODY = b'{"items": [{"product_id": 1, "quantity": 1}]}'

# All of an order, but not all that was announced; then, in chunks, a length that is no number.
BROKEN_OFF = [
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY) + 1, BODY),
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b" % (len(BODY), BODY),
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY),
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\nzz\r\n" % (len(BODY), BODY),
]


def test_a_body_that_breaks_off_behind_a_real_server_orders_nothing(
    processes: Processes, a_product: Callable[..., int]
) -> None:
    """400, or nobody is left to be told; never a 500."""
    a_product()
    web = processes.web(WEB_WORKERS="1").wait_ready()
    before = row_counts()
    for rest in BROKEN_OFF:
        answer = answered(web.url, b"POST /api/orders/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + rest)
        assert not answer or b" 400 " in answer.splitlines()[0], answer
        assert row_counts() == before


def answered(url: str, request: bytes) -> bytes:
    """Send these bytes, then nothing more; return the beginning of the answer."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return client.recv(4096)
