"""Idempotency-Key: a POST may be repeated, whatever happened to the first one, and orders once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orderapp import failpoints
from orderapp.orders.idempotency import fingerprint
from orderapp.orders.lines import Line
from orderapp.orders.processing import process_orders
from tests.clients import CHARLIE, REQUIRED, a_key, bearer
from tests.orders.examples import TASK, placed, statuses
from tests.servers.waiting import wait_until
from tests.sql import holding, one, row_counts, sql
from tests.wire import listening

URL = "/api/orders/"

KEY = {"Idempotency-Key": "7b0a7c1e-3f43-4b7e-9d3a-a1e0d0c0ffee"}

ORDER = {"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}], "reference": "PO-1"}

# The row of another request that has not ended yet.
STORE = f"""INSERT INTO idempotency_keys (client_id, key, fingerprint, order_id, response)
VALUES (1, '{KEY["Idempotency-Key"]}', decode(repeat('00', 32), 'hex'), 1, 'stored')"""


@pytest.fixture(autouse=True)
def _shop(a_product: Callable[..., int]) -> None:
    assert [a_product(name="Laptop"), a_product(name="Mouse")] == [1, 2]


def post(app: Flask) -> Any:
    """POST the order in a thread of its own."""
    return app.test_client().post(URL, json=ORDER, headers=KEY)


def waiting() -> bool:
    """Tell whether a request waits for another one's key."""
    return bool(sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"))


def test_key_and_order_are_stored_in_one_transaction(client: FlaskClient) -> None:
    """One statement more than without a key, no commit more."""
    with listening() as wire:
        answer = client.post(URL, json=ORDER, headers=KEY)
    assert answer.status_code == 201
    assert "Idempotency-Replayed" not in answer.headers
    assert [said.statement.split()[0] for said in wire.said] == ["WITH", "INSERT"]
    assert wire.ends == ["COMMIT"]
    row = one("SELECT client_id, key, order_id, response, fingerprint FROM idempotency_keys")
    assert (row.client_id, row.key, row.order_id, bytes(row.response)) == (1, KEY["Idempotency-Key"], 1, answer.data)


def test_a_repeated_post_is_answered_byte_for_byte_and_orders_nothing(client: FlaskClient) -> None:
    """Whatever became of order and products since: another name, another price, no longer for sale, confirmed."""
    first = client.post(URL, json=ORDER, headers=KEY)
    process_orders([1], TASK)
    sql("UPDATE products SET name = 'Another', price = 7, archived_at = now()")
    before = row_counts()
    for _ in range(2):
        again = client.post(URL, json=ORDER, headers=KEY)
        assert (again.status_code, again.data) == (201, first.data)
        assert again.headers["Idempotency-Replayed"] == "true"
        for name in ("Location", "Content-Type"):
            assert again.headers[name] == first.headers[name]
    assert row_counts() == before
    assert statuses() == ["confirmed"]


def test_the_same_order_in_other_spelling_is_the_same(client: FlaskClient) -> None:
    """Blanks and the order of names are the serialiser's; a client's second attempt may come from another process."""
    client.post(URL, json=ORDER, headers=KEY)
    body = '{"reference":"PO-1",  "items":[{"quantity":2,"product_id":1},{"quantity":1,"product_id":2}]}'
    again = client.post(URL, data=body, content_type="application/json", headers=KEY)
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "change",
    [{"reference": "PO-2"}, {"reference": None}, {"items": ORDER["items"][:1]}, {"items": [{"product_id": 1, "quantity": 3}]}],
)
def test_another_order_under_the_same_key_is_422_and_changes_nothing(client: FlaskClient, change: dict[str, Any]) -> None:
    """A key that is reused by mistake must not swallow an order in silence."""
    client.post(URL, json=ORDER, headers=KEY)
    before = row_counts()
    answer = client.post(URL, json=ORDER | change, headers=KEY)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/headers/Idempotency-Key"]
    assert row_counts() == before


@pytest.mark.settings(**REQUIRED)
def test_keys_of_two_clients_do_not_know_each_other(client: FlaskClient) -> None:
    """Nobody reads another's answer by guessing a key, and nobody is refused for a stranger's."""
    alice, charlie = bearer(a_key()), bearer(a_key(CHARLIE))
    answers = [client.post(URL, json=ORDER, headers=KEY | who) for who in (alice, charlie, alice)]
    assert [answer.get_json()["id"] for answer in answers] == [1, 2, 1]
    assert ["Idempotency-Replayed" in answer.headers for answer in answers] == [False, False, True]


@pytest.mark.parametrize("wrong", [{"items": [{"product_id": 4711, "quantity": 1}]}, {"items": []}, {"items": 1}])
def test_what_was_refused_is_not_remembered(client: FlaskClient, wrong: dict[str, Any]) -> None:
    """The client mends its order and sends it again under the same key."""
    before = row_counts()
    assert [client.post(URL, json=wrong, headers=KEY).status_code for _ in range(2)] == [422, 422]
    assert row_counts() == before
    assert client.post(URL, json=ORDER, headers=KEY).status_code == 201


@pytest.mark.parametrize(
    "key", ["", "x" * 256, "a\x00", "a\tb", "\x7f", "\x1b[31m", "\u00e9", "\u20ac".encode().decode("latin-1")]
)
def test_a_bad_key_is_refused_by_the_name_of_its_header(client: FlaskClient, key: str) -> None:
    """And never shortened or cleaned into one that somebody else may send."""
    before = row_counts()
    answer = client.post(URL, json=ORDER, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/headers/Idempotency-Key"]
    assert row_counts() == before


@pytest.mark.parametrize("key", ["0", "x" * 255, '"quoted"', "a b", "~!@#$%^&*(),'"])
def test_any_printable_text_up_to_255_characters_is_a_key(client: FlaskClient, key: str) -> None:
    """Opaque to us."""
    headers = {"Idempotency-Key": key}
    assert [client.post(URL, json=ORDER, headers=headers).get_json()["id"] for _ in range(2)] == [1, 1]


def test_a_duplicate_waits_for_the_first_and_gives_its_answer(app: Flask) -> None:
    """The first one's transaction is still open when the second comes."""
    placed((1, 1))
    with ThreadPoolExecutor(1) as pool:
        with holding(STORE) as first:
            second = pool.submit(post, app)
            wait_until(waiting, 10, "the second request to wait")
            first.execute("UPDATE idempotency_keys SET fingerprint = %s", [fingerprint([Line(1, 2), Line(2, 1)], "PO-1")])
            first.connection.commit()
        answer = second.result()
    assert (answer.status_code, answer.data) == (201, b"stored")
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert one("SELECT count(*) FROM orders") == 1


def test_a_duplicate_of_a_request_that_fails_takes_its_place(app: Flask) -> None:
    """What it waited for was undone; it places the order itself."""
    placed((1, 1))
    with ThreadPoolExecutor(1) as pool:
        with holding(STORE):
            second = pool.submit(post, app)
            wait_until(waiting, 10, "the second request to wait")
        answer = second.result()
    assert (answer.status_code, answer.get_json()["reference"]) == (201, "PO-1")
    assert "Idempotency-Replayed" not in answer.headers
    assert one("SELECT count(*) FROM idempotency_keys") == 1


def test_a_duplicate_of_a_request_that_does_not_end_is_409_after_two_seconds(app: Flask) -> None:
    """It says when to come back, and leaves nothing of its own attempt."""
    placed((1, 1))
    before = row_counts()
    with holding(STORE):
        answer = post(app)
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "2")
    assert "still running" in answer.get_json()["detail"]
    assert row_counts() == before


def test_a_lock_that_is_no_keys_is_an_outage_as_ever(client: FlaskClient) -> None:
    """Not a conflict: no other request with this key is running."""
    before = row_counts()
    with listening() as wire:
        wire.fail("INSERT INTO idempotency_keys", "55P03")
        answer = client.post(URL, json=ORDER, headers=KEY)
    assert answer.status_code == 503
    assert row_counts() == before


def test_a_key_stored_between_look_and_insert_is_found(client: FlaskClient) -> None:
    """The other request commits just after this one looked for the key; whose body was another."""
    placed((1, 1))
    before = row_counts()
    with listening() as wire:
        wire.before("INSERT INTO idempotency_keys", lambda: sql(STORE))
        answer = client.post(URL, json=ORDER, headers=KEY)
    assert answer.status_code == 422
    assert row_counts() == before | {"idempotency_keys": 1}


@pytest.mark.parametrize(("point", "committed"), [("before_commit", False), ("after_commit", True)])
def test_a_connection_cut_during_commit_leaves_one_order_after_the_repetition(
    client: FlaskClient, tmp_path: Path, point: str, committed: bool
) -> None:
    """Whether PostgreSQL got to commit, the client cannot know; it sends the same again."""
    failpoints.arm(f"{tmp_path / 'passages'} orders.placing:place_order_once:{point}=reset@1")
    try:
        first = client.post(URL, json=ORDER, headers=KEY)
    finally:
        failpoints.arm(None)
    assert (first.status_code, first.headers["Retry-After"]) == (503, "2")
    assert one("SELECT count(*) FROM orders") == int(committed)
    again = client.post(URL, json=ORDER, headers=KEY)
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (201, committed)
    assert [one(f"SELECT count(*) FROM {table}") for table in ("orders", "outbox", "idempotency_keys")] == [1, 1, 1]
    assert client.get(again.headers["Location"]).data == again.data
