"""What operators do to orders, products, messages and deliveries: by the acts, with a line in the audit log."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from flask import Flask

from orderapp.orders.lines import Line
from orderapp.orders.placing import place_order
from tests.admin.examples import Rows
from tests.admin.visitors import Visitor, alerts
from tests.orders.examples import order, stock
from tests.sql import one, sql

Visit = Callable[[str], Visitor]

ORDERS, PRODUCTS, PARKED, DELIVERIES = (f"/admin/{name}/action/" for name in ("orders", "products", "parked", "deliveries"))
ENDPOINTS = "/admin/endpoints/action/"


def audited(action: str) -> tuple[str, str, int, str | None]:
    """Return who did this, to what and why."""
    row = one(
        "SELECT actor, subject, subject_id, reason FROM audit_log WHERE action = %(action)s ORDER BY id DESC LIMIT 1",
        action=action,
    )
    return (row.actor, row.subject, row.subject_id, row.reason)


def test_an_order_is_cancelled_and_its_stock_is_back(visit: Visit, rows: Rows) -> None:
    """The reason is in the audit log, and the page says what happened."""
    before = stock(rows.product)
    words = visit("operator").told(ORDERS, {"action": "cancel", "rowid": rows.confirmed, "reason": "by phone"})
    assert words == f"Cancelled: {rows.confirmed}."
    assert order(rows.confirmed).status == "cancelled"
    assert stock(rows.product) == before + 2
    assert audited("cancel") == ("user:oscar", "order", rows.confirmed, "by phone")


def test_of_many_chosen_orders_each_gets_its_answer(visit: Visit, rows: Rows) -> None:
    """Those that can be cancelled are, the others are named with the reason why not."""
    chosen = [rows.pending, rows.confirmed, rows.failed, rows.cancelled, 4711, rows.pending]
    words = visit("operator").told(ORDERS, {"action": "cancel", "rowid": chosen})
    assert f"Cancelled: {rows.pending}, {rows.confirmed}." in words
    assert f"Order {rows.failed} is failed; only a pending or confirmed order can be cancelled." in words
    assert f"Order {rows.cancelled} is cancelled;" in words
    assert "There is no order 4711." in words
    assert one("SELECT count(*) FROM stock_movements WHERE kind = 'return' AND order_id = %(id)s", id=rows.confirmed) == 1


def test_a_failed_order_is_sent_through_again(visit: Visit, rows: Rows) -> None:
    """It is pending, with a message; any other order is refused."""
    operator = visit("operator")
    assert operator.told(ORDERS, {"action": "retry", "rowid": rows.failed}) == f"Pending again: {rows.failed}."
    assert order(rows.failed).status == "pending"
    assert one("SELECT count(*) FROM outbox WHERE subject_id = %(id)s AND task = 'orders.process'", id=rows.failed) == 2
    assert "only a failed order can be retried" in operator.told(ORDERS, {"action": "retry", "rowid": rows.confirmed})


def test_the_webhooks_of_an_order_are_sent_again(visit: Visit, rows: Rows) -> None:
    """All that were given up; an order without any says so."""
    operator = visit("operator")
    assert (
        operator.told(ORDERS, {"action": "resend", "rowid": rows.cancelled})
        == f"Webhooks due again for orders: {rows.cancelled}."
    )
    states = sql("SELECT state FROM webhook_deliveries WHERE order_id = %(id)s", id=rows.cancelled)
    assert [row.state for row in states] == ["pending", "pending"]
    assert "has no webhook that was given up" in operator.told(ORDERS, {"action": "resend", "rowid": rows.pending})
    assert audited("resend")[0] == "user:oscar"


def test_a_delivery_is_sent_again_once(visit: Visit, rows: Rows) -> None:
    """The second time it is on its way already."""
    operator = visit("operator")
    form = {"action": "resend", "rowid": rows.delivery, "reason": "they mended it"}
    assert operator.told(DELIVERIES, form) == f"Due again: {rows.delivery}."
    assert audited("resend") == ("user:oscar", "delivery", rows.delivery, "they mended it")
    assert "is pending; it is sent anyway" in operator.told(DELIVERIES, form)


def test_without_an_endpoint_nothing_is_sent_again(app: Flask, visit: Visit, rows: Rows) -> None:
    """WEBHOOK_URL was taken away: there is nowhere to send it."""
    app.extensions["settings"] = replace(app.extensions["settings"], webhook_url=None)
    sql("UPDATE webhook_deliveries SET state = 'exhausted', finished_at = now() WHERE id = %(id)s", id=rows.delivery)
    told = visit("operator").told(DELIVERIES, {"action": "resend", "rowid": rows.delivery})
    assert "WEBHOOK_URL is not set" in told


def test_an_endpoint_is_pinged_switched_off_and_on(visit: Visit, rows: Rows) -> None:
    """Each once; what makes no sense is refused in words, and the audit log knows who and why."""
    assert rows
    operator = visit("operator")
    assert operator.told(ENDPOINTS, {"action": "ping", "rowid": 1}) == "Pinged: 1."
    assert one("SELECT count(*) FROM webhook_deliveries WHERE ping_id IS NOT NULL AND endpoint_id = 1") == 1
    assert audited("test") == ("user:oscar", "webhook_endpoint", 1, None)
    assert operator.told(ENDPOINTS, {"action": "disable", "rowid": 1, "reason": "moving"}) == "Disabled: 1."
    assert audited("disable") == ("user:oscar", "webhook_endpoint", 1, "moving")
    assert "enable it first" in operator.told(ENDPOINTS, {"action": "ping", "rowid": 1})
    assert "is disabled already" in operator.told(ENDPOINTS, {"action": "disable", "rowid": 1})
    assert operator.told(ENDPOINTS, {"action": "enable", "rowid": 1}) == "Enabled: 1."
    assert "is active already" in operator.told(ENDPOINTS, {"action": "enable", "rowid": 1})


def test_a_parked_message_is_tried_again(visit: Visit, rows: Rows) -> None:
    """It is due; a second time it is no longer parked."""
    operator = visit("operator")
    assert operator.told(PARKED, {"action": "retry", "rowid": rows.parked}) == f"Due again: {rows.parked}."
    assert one(
        "SELECT parked_at IS NULL AND error IS NULL AND available_at <= clock_timestamp() FROM outbox WHERE id = %(id)s",
        id=rows.parked,
    )
    assert audited("retry") == ("user:oscar", "message", rows.parked, None)
    assert "Not parked" in operator.told(PARKED, {"action": "retry", "rowid": rows.parked})


def test_a_parked_message_is_discarded_with_a_reason_only(visit: Visit, rows: Rows) -> None:
    """The audit log keeps what it was."""
    operator = visit("operator")
    assert "Say why" in operator.told(PARKED, {"action": "discard", "rowid": rows.parked, "reason": " "})
    assert one("SELECT count(*) FROM outbox WHERE id = %(id)s", id=rows.parked) == 1
    assert operator.told(PARKED, {"action": "discard", "rowid": rows.parked, "reason": "lost"}) == f"Discarded: {rows.parked}."
    assert sql("SELECT 1 FROM outbox WHERE id = %(id)s", id=rows.parked) == []
    assert audited("discard") == ("user:oscar", "message", rows.parked, "lost")
    assert one("SELECT before FROM audit_log WHERE action = 'discard'")["subject_id"] == rows.pending


def test_who_discards_is_told_what_gets_no_new_message(visit: Visit, rows: Rows) -> None:
    """Orders and deliveries have rescuers; an event that is discarded is heard of by no other service."""
    assert rows.parked
    page = visit("operator").get("/admin/parked/").text
    assert "An order or delivery that is still open gets a new one from the rescuers; an event gets none." in page


def test_a_message_that_is_not_parked_is_left_alone(visit: Visit, rows: Rows) -> None:
    """What the relay is about to send cannot be discarded."""
    due = one("SELECT min(id) FROM outbox WHERE parked_at IS NULL")
    assert "Not parked" in visit("operator").told(PARKED, {"action": "discard", "rowid": due, "reason": "x"})
    assert one("SELECT count(*) FROM outbox WHERE id = %(id)s", id=due) == 1
    assert rows.parked


def test_products_are_archived_and_put_back(visit: Visit, rows: Rows) -> None:
    """Many at once."""
    alice = visit("superuser")
    chosen = [rows.product, rows.archived]
    assert alice.told(PRODUCTS, {"action": "archive", "rowid": chosen}) == f"Archived: {rows.product}, {rows.archived}."
    assert one("SELECT count(*) FROM products WHERE archived_at IS NULL") == 0
    assert alice.told(PRODUCTS, {"action": "unarchive", "rowid": chosen}) == f"On sale again: {rows.product}, {rows.archived}."
    assert one("SELECT count(*) FROM products WHERE archived_at IS NULL") == 2
    assert audited("unarchive") == ("user:alice", "product", rows.archived, None)


def test_nothing_chosen_says_so(visit: Visit, rows: Rows) -> None:
    """And a row that is none."""
    operator = visit("operator")
    assert operator.told(ORDERS, {"action": "cancel"}) == "Choose at least one row."
    assert operator.told(ORDERS, {"action": "cancel", "rowid": "x"}) == "That is not the number of a row."
    assert operator.told(ORDERS, {"action": "explode", "rowid": rows.confirmed}) == ""
    assert order(rows.confirmed).status == "confirmed"


def test_a_product_is_created_edited_and_restocked(visit: Visit) -> None:
    """Its stock begins in the ledger and moves only there; orders keep the price that was quoted."""
    alice = visit("superuser")
    assert "successfully created" in alice.told("/admin/products/new/", {"name": " Lamp ", "price": "2.50", "stock": "3"})
    product = one("SELECT * FROM products")
    assert (product.name, product.price, product.stock) == ("Lamp", Decimal("2.50"), 3)
    placed = place_order(1, [Line(product.id, 1)], currency="USD", reference=None)
    edit, restock = (f"/admin/products/{page}/?id={product.id}" for page in ("edit", "restock"))
    assert "successfully saved" in alice.told(edit, {"name": "Big lamp", "price": "9"})
    assert alice.told(restock, {"quantity": "5", "reason": "arrived"}) == "Big lamp now has 8 units."
    assert alice.told(restock, {"quantity": "-2", "reason": "broken"}) == "Big lamp now has 6 units."
    assert one("SELECT sum(delta) FROM stock_movements") == one("SELECT stock FROM products") == 6
    assert one("SELECT unit_price FROM order_items WHERE order_id = %(id)s", id=placed.id) == Decimal("2.50")
    assert [row.action for row in sql("SELECT action FROM audit_log ORDER BY id")] == ["create", "edit", "restock", "restock"]
    assert audited("restock") == ("user:alice", "product", product.id, "broken")


@pytest.mark.parametrize(
    ("page", "data", "words"),
    [
        ("new", {"name": "", "price": "1", "stock": "0"}, "This field is required."),
        ("new", {"name": "  ", "price": "1", "stock": "0"}, "printable characters."),
        ("new", {"name": "a\nb", "price": "1", "stock": "0"}, "Must be printable characters only."),
        ("new", {"name": "Lamp", "price": "NaN", "stock": "0"}, "Must be an amount from 0"),
        ("new", {"name": "Lamp", "price": "-1", "stock": "0"}, "Must be an amount from 0"),
        ("new", {"name": "Lamp", "price": "1.005", "stock": "0"}, "at most two decimals"),
        ("new", {"name": "Lamp", "price": "1,50", "stock": "0"}, "Not a valid decimal value."),
        ("new", {"name": "Lamp", "price": "1", "stock": "-1"}, "Must be a number from 0"),
        ("new", {"name": "Lamp", "price": "1", "stock": "x"}, "Not a valid integer value."),
        ("edit", {"name": "x" * 201, "price": "1"}, "Must be 1 to 200 printable characters."),
        ("restock", {"quantity": "0", "reason": "x"}, "and not 0."),
        ("restock", {"quantity": "1", "reason": " "}, "Say why the stock changes."),
        ("restock", {"quantity": "1" * 30, "reason": "x"}, "Must be a number from -"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_told_at_its_field(
    visit: Visit, rows: Rows, page: str, data: dict[str, str], words: str
) -> None:
    """The form comes back with what was typed; nothing is written."""
    before = one("SELECT count(*) FROM audit_log")
    answer = visit("superuser").post(f"/admin/products/{page}/?id={rows.product}", data)
    assert answer.status_code == 200
    assert words in answer.text
    assert "invalid-feedback" in answer.text
    assert one("SELECT count(*) FROM audit_log") == before


def test_stock_that_is_not_there_cannot_be_taken_away(visit: Visit, rows: Rows) -> None:
    """The act's own words are shown."""
    answer = visit("operator").post(f"/admin/products/restock/?id={rows.product}", {"quantity": "-100", "reason": "lost"})
    assert "has 8 units; 100 cannot be taken away." in alerts(answer)
    assert stock(rows.product) == 8
