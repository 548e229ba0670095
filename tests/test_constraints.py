"""What the database itself promises, to raw SQL too: every check, foreign key, unique constraint and trigger, one by one."""

import psycopg2
import pytest
from psycopg2.errors import IntegrityError

from tests.sql import one, row_counts, sql

TABLES = (
    "api_clients",
    "products",
    "orders",
    "order_items",
    "stock_movements",
    "order_events",
    "outbox",
    "webhook_endpoints",
    "webhook_deliveries",
    "webhook_attempts",
)

ORDER = "INSERT INTO orders (client_id, currency, rescue_at) VALUES (1, 'USD', now())"
ITEM = "INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES "
MOVEMENT = "INSERT INTO stock_movements (product_id, order_id, delta, kind) VALUES "
EVENT = "INSERT INTO order_events (id, order_id, sequence, type) VALUES "
DELIVERY = "INSERT INTO webhook_deliveries (order_id, event_id, rescue_at) VALUES "
ATTEMPT = "INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms) VALUES "
NEW_ID = "gen_random_uuid()"
EVENT_ID = "(SELECT id FROM order_events WHERE sequence = 1)"

# One of everything: product 1, order 1 (pending), its item, its sale, its event, a delivery, an attempt.
SHOP = f"""
INSERT INTO products (name, price, stock) VALUES ('Lamp', 1, 9);
{MOVEMENT} (1, NULL, 10, 'opening');
{ORDER};
{ITEM} (1, 1, 1, 1);
{MOVEMENT} (1, 1, -1, 'sale');
{EVENT} ({NEW_ID}, 1, 1, 'order.placed'), ({NEW_ID}, 1, 2, 'order.confirmed');
{DELIVERY} (1, {EVENT_ID}, now());
{ATTEMPT} (1, 1, now(), 5);
"""

# The constraint, and a statement that only this constraint refuses.
BREACHES = {
    "api_clients_name_check": "INSERT INTO api_clients (name) VALUES ('')",
    "api_clients_name_key": "INSERT INTO api_clients (name) VALUES ('anonymous')",
    "products_name_check": "UPDATE products SET name = ''",
    "products_price_check": "UPDATE products SET price = -0.01",
    "products_stock_check": "UPDATE products SET stock = -1",
    "orders_client_id_fkey": "UPDATE orders SET client_id = 99",
    "orders_reference_check": "UPDATE orders SET reference = repeat('x', 65)",
    "orders_status_check": "ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET status = 'lost'",
    "orders_currency_check": "UPDATE orders SET currency = 'usd'",
    "orders_open_can_be_rescued": "UPDATE orders SET rescue_at = NULL",
    "orders_processing_is_claimed": "UPDATE orders SET status = 'processing', task_id = gen_random_uuid()",
    "orders_confirmed_has_total": "ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET status = 'confirmed'",
    "orders_failed_has_reason": "ALTER TABLE orders DISABLE TRIGGER USER; UPDATE orders SET status = 'failed'",
    "order_items_order_id_fkey": f"{ITEM} (99, 1, 1, 1)",
    "order_items_product_id_fkey": f"{ITEM} (1, 99, 1, 1)",
    "order_items_quantity_check": f"{ORDER}; {ITEM} (2, 1, 0, 1)",
    "order_items_unit_price_check": f"{ORDER}; {ITEM} (2, 1, 1, -0.01)",
    "order_items_order_id_product_id_key": f"{ITEM} (1, 1, 1, 1)",
    "stock_movements_product_id_fkey": f"{MOVEMENT} (99, NULL, 1, 'restock')",
    "stock_movements_order_id_fkey": f"{MOVEMENT} (1, 99, -1, 'sale')",
    "stock_movements_check": f"{ORDER}; {MOVEMENT} (1, 2, 1, 'sale')",
    "stock_movements_order_id_product_id_kind_key": f"{MOVEMENT} (1, 1, -1, 'sale')",
    "stock_movements_one_opening": f"{MOVEMENT} (1, NULL, 10, 'opening')",
    "order_events_order_id_fkey": f"{EVENT} ({NEW_ID}, 99, 1, 'order.placed')",
    "order_events_sequence_check": f"{EVENT} ({NEW_ID}, 1, 0, 'order.placed')",
    "order_events_type_check": f"{EVENT} ({NEW_ID}, 1, 3, 'order.lost')",
    "order_events_order_id_sequence_key": f"{EVENT} ({NEW_ID}, 1, 1, 'order.failed')",
    "order_events_position_key": "UPDATE order_events SET position = 7",
    "webhook_deliveries_order_id_fkey": f"{DELIVERY} (99, (SELECT id FROM order_events WHERE sequence = 2), now())",
    "webhook_deliveries_event_id_fkey": f"{DELIVERY} (1, {NEW_ID}, now())",
    "webhook_deliveries_once": f"{DELIVERY} (1, {EVENT_ID}, now())",
    "webhook_deliveries_endpoint_id_fkey": "UPDATE webhook_deliveries SET endpoint_id = 99",
    "webhook_deliveries_resend_of_fkey": "UPDATE webhook_deliveries SET resend_of = 99",
    "deliveries_event_or_ping": "UPDATE webhook_deliveries SET ping_id = gen_random_uuid()",
    "deliveries_waiting_is_pending": "UPDATE webhook_deliveries SET waiting = true, lease_until = now()",
    "webhook_deliveries_state_check": "UPDATE webhook_deliveries SET state = 'lost'",
    "deliveries_pending_can_be_rescued": "UPDATE webhook_deliveries SET rescue_at = NULL",
    "webhook_attempts_delivery_id_fkey": f"{ATTEMPT} (99, 1, now(), 5)",
    "webhook_attempts_attempt_check": f"{ATTEMPT} (1, 0, now(), 5)",
    "webhook_attempts_duration_ms_check": f"{ATTEMPT} (1, 2, now(), -1)",
    "webhook_attempts_answer_check": "UPDATE webhook_attempts SET answer = repeat('x', 1025)",
    "webhook_endpoints_client_id_fkey": "UPDATE webhook_endpoints SET client_id = 99",
    "webhook_endpoints_url_check": "INSERT INTO webhook_endpoints (url, secret) VALUES ('', 'x')",
    "webhook_endpoints_description_check": "UPDATE webhook_endpoints SET description = repeat('x', 201)",
    "webhook_endpoints_disabled_reason_check": "UPDATE webhook_endpoints SET active = false, disabled_reason = 'lost'",
    "webhook_endpoints_failures_check": "UPDATE webhook_endpoints SET failures = -1",
    "endpoints_types_known": "UPDATE webhook_endpoints SET event_types = ARRAY['order.lost']",
    "endpoints_inactive_has_reason": "UPDATE webhook_endpoints SET active = false",
    "endpoints_built_in": "INSERT INTO webhook_endpoints (url) VALUES ('https://x')",
    "endpoints_previous_ends": "UPDATE webhook_endpoints SET previous_secret = 'x'",
    "webhook_attempts_delivery_id_attempt_key": f"{ATTEMPT} (1, 1, now(), 5)",
}

CONSTRAINTS = """
SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
WHERE contype IN ('c', 'f', 'u') AND conrelid = ANY(%(tables)s::regclass[])
UNION SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indisunique AND NOT indisprimary AND indrelid = ANY(%(tables)s::regclass[])
"""

APPEND_ONLY = {
    "order_items": "quantity = 2",
    "stock_movements": "created_at = now()",
    "order_events": "data = '{}'",
}


@pytest.fixture(autouse=True)
def _shop(environment: dict[str, str]) -> None:
    """Put one of everything into the database."""
    assert environment
    sql(SHOP)


def test_every_constraint_has_its_breach_in_the_table() -> None:
    """A new constraint without a test, or a test whose constraint is gone, is named here."""
    assert {row.name for row in sql(CONSTRAINTS, tables=list(TABLES))} == set(BREACHES)


@pytest.mark.parametrize("constraint", BREACHES)
def test_the_constraint_refuses_its_breach(constraint: str) -> None:
    """And no other one is faster."""
    before = row_counts()
    with pytest.raises(IntegrityError) as refusal:
        sql(BREACHES[constraint])
    assert refusal.value.diag.constraint_name == constraint
    assert row_counts() == before


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_history_is_neither_changed_nor_deleted(table: str) -> None:
    """What was ordered, moved and told stays as it was."""
    for statement in (f"UPDATE {table} SET {APPEND_ONLY[table]}", f"DELETE FROM {table} WHERE true"):
        with pytest.raises(psycopg2.errors.CheckViolation, match=f"{table} is append-only"):
            sql(statement)


@pytest.mark.parametrize(
    "column", ["id = gen_random_uuid()", "order_id = 1", "sequence = 9", "type = 'order.failed'", "occurred_at = now()"]
)
def test_an_event_keeps_what_the_outside_has_seen(column: str) -> None:
    """Each column but the position."""
    with pytest.raises(psycopg2.errors.CheckViolation, match="order_events is append-only"):
        sql(f"UPDATE order_events SET {column} WHERE sequence = 1")


def test_the_position_of_an_event_is_given_afterwards() -> None:
    """The feed's cursor is assigned after the commit."""
    sql("UPDATE order_events SET position = sequence")
    assert one("SELECT max(position) FROM order_events") == 2


@pytest.mark.parametrize(("table", "kept"), [("products", True), ("orders", True), ("order_events", True), ("outbox", False)])
def test_what_others_refer_to_cannot_be_deleted(table: str, kept: bool) -> None:
    """Only the outbox is emptied: it is transport."""
    sql("INSERT INTO outbox (queue, task) VALUES ('orders', 'orders.process')")
    if kept:
        with pytest.raises(IntegrityError):
            sql(f"DELETE FROM {table}")
    else:
        sql(f"DELETE FROM {table}")
    assert (one(f"SELECT count(*) FROM {table}") > 0) is kept


def test_an_order_without_a_key_belongs_to_the_anonymous_client() -> None:
    """client_id is never null, and number 1 is there from the first migration."""
    assert one("SELECT name FROM api_clients WHERE id = 1") == "anonymous"
    with pytest.raises(psycopg2.errors.NotNullViolation):
        sql("INSERT INTO orders (client_id, currency, rescue_at) VALUES (NULL, 'USD', now())")
