"""Cancelling and the timeline over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.orders.retrying import retry_order
from orderapp.products.editing import restock_product
from tests.admin.examples import fill
from tests.clients import a_key, bearer
from tests.orders.examples import TASK, died, placed, stock
from tests.servers.receiver import Receiver
from tests.sql import one, row_counts

AProduct = Callable[..., int]


def timeline(client: FlaskClient, order_id: int) -> list[dict[str, Any]]:
    """Return the entries."""
    answer = client.get(f"/api/orders/{order_id}/timeline/")
    assert answer.status_code == 200
    entries: list[dict[str, Any]] = answer.get_json()["data"]
    assert [list(entry) for entry in entries] == [["at", "kind", "details"]] * len(entries)
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    return entries


def test_a_pending_order_is_cancelled_and_shown(client: FlaskClient, a_product: AProduct) -> None:
    """The audit log names the client; nothing had been taken."""
    order_id = placed((a_product(stock=5), 2))
    answer = client.post(f"/api/orders/{order_id}/cancel/")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
    assert answer.data == client.get(f"/api/orders/{order_id}/").data
    assert one("SELECT actor FROM audit_log WHERE action = 'cancel'") == "api:anonymous"
    assert stock(1) == 5


@pytest.mark.parametrize(("units", "again"), [(1, True), (9, False)])
def test_an_order_that_cannot_be_cancelled_is_409(client: FlaskClient, a_product: AProduct, units: int, again: bool) -> None:
    """Cancelled already, or failed: nothing is given back a second time."""
    order_id = placed((a_product(stock=5), units))
    process_orders([order_id], TASK)
    if again:
        assert client.post(f"/api/orders/{order_id}/cancel/").status_code == 200
    before = row_counts()
    answer = client.post(f"/api/orders/{order_id}/cancel/")
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert (row_counts(), stock(1)) == (before, 5)


def test_an_order_that_a_worker_is_at_is_409_for_the_moment(client: FlaskClient, a_product: AProduct) -> None:
    """Whoever holds it decides."""
    order_id = placed((a_product(), 1))
    died(order_id)
    answer = client.post(f"/api/orders/{order_id}/cancel/")
    assert (answer.status_code, "try again" in answer.get_json()["detail"]) == (409, True)


def test_somebody_elses_order_is_neither_cancelled_nor_told_of(client: FlaskClient, a_product: AProduct) -> None:
    """404 in the words of an order that is not there."""
    foreign, alices = placed((a_product(), 1)), bearer(a_key())
    before = row_counts()
    for method, path in (("POST", "cancel/"), ("GET", "timeline/")):
        answers = [client.open(f"/api/orders/{one_id}/{path}", method=method, headers=alices) for one_id in (foreign, 4711)]
        assert [answer.status_code for answer in answers] == [404, 404]
        details = [answer.get_json()["detail"] for answer in answers]
        assert details[0] == details[1].replace("4711", str(foreign))
    assert row_counts() == before


def test_the_timeline_tells_cause_and_effect_in_their_order(client: FlaskClient, a_product: AProduct) -> None:
    """Failed, sent through again, sold, given back: the claim that counts is the last."""
    lamp = a_product(stock=0)
    order_id = placed((lamp, 2))
    assert [entry["kind"] for entry in timeline(client, order_id)] == ["order.placed"]
    process_orders([order_id], TASK)
    restock_product(lamp, 5, "delivery", "cli:me")
    retry_order(order_id, "cli:me")
    process_orders([order_id], TASK)
    cancel_order(order_id, "cli:me")
    entries = timeline(client, order_id)
    assert [entry["kind"] for entry in entries] == [
        "order.placed",
        "order.failed",
        "order.reopened",
        "order.claimed",
        "stock.sale",
        "order.confirmed",
        "stock.return",
        "order.cancelled",
    ]
    details = {entry["kind"]: entry["details"] for entry in entries}
    assert details["order.claimed"] == {"task_id": TASK, "attempts": 1, "lease_until": None}
    assert details["stock.sale"] == {"product_id": lamp, "delta": -2}
    assert details["order.confirmed"]["total_amount"] == "5.00"
    assert details["order.confirmed"]["sequence"] == 4
    assert details["order.failed"]["failure_reason"]["code"] == "insufficient_stock"


def test_a_claim_that_is_held_says_until_when(client: FlaskClient, a_product: AProduct) -> None:
    """Slow and stuck look alike without it."""
    order_id = placed((a_product(), 1))
    process_orders([order_id], TASK)
    assert timeline(client, order_id)[1]["kind"] == "order.claimed"
    assert one("SELECT claimed_at > created_at AND claimed_at < settled_at FROM orders")


@pytest.mark.usefixtures("receiver")
def test_the_timeline_shows_each_webhook_attempt(client: FlaskClient, receiver: Receiver) -> None:
    """With code and duration; what our network said about it stays with us."""
    assert receiver
    rows = fill()
    (attempt,) = [entry for entry in timeline(client, rows.confirmed) if entry["kind"] == "webhook.attempt"]
    event = one("SELECT id FROM order_events WHERE order_id = %(id)s AND type = 'order.confirmed'", id=rows.confirmed)
    assert attempt["details"] == {
        "delivery_id": rows.delivery,
        "event_id": str(event),
        "attempt": 1,
        "status_code": None,
        "duration_ms": 5,
    }
