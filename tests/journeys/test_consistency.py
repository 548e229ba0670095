"""The check at the end of every journey finds what it is there for: each sentence, broken by hand, is named."""

import psycopg2
import pytest

from tests.journeys import consistency

# One confirmed and told order of 2 lamps, one failed, one cancelled after it was confirmed, one pending.
SOUND = """
INSERT INTO products (id, name, price, stock) VALUES (1, 'Lamp', 2.50, 8);
INSERT INTO orders (id, client_id, currency, rescue_at) SELECT n, 1, 'USD', now() FROM generate_series(1, 4) n;
INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT n, 1, 2, 2.50 FROM generate_series(1, 4) n;
INSERT INTO order_events (id, order_id, sequence, type)
    SELECT gen_random_uuid(), n, 1, 'order.placed' FROM generate_series(1, 4) n;
UPDATE orders SET status = 'processing', task_id = gen_random_uuid(), attempts = 1, lease_until = now() WHERE id < 4;
UPDATE orders SET status = 'confirmed', total_amount = 5, settled_at = now(), last_sequence = 2 WHERE id IN (1, 3);
UPDATE orders SET status = 'failed', failure_reason = '{}', settled_at = now(), last_sequence = 2 WHERE id = 2;
UPDATE orders SET status = 'cancelled', last_sequence = 3 WHERE id = 3;
INSERT INTO stock_movements (product_id, order_id, delta, kind) VALUES
    (1, NULL, 10, 'opening'), (1, 1, -2, 'sale'), (1, 3, -2, 'sale'), (1, 3, 2, 'return');
INSERT INTO order_events (id, order_id, sequence, type) VALUES
    (gen_random_uuid(), 1, 2, 'order.confirmed'), (gen_random_uuid(), 2, 2, 'order.failed'),
    (gen_random_uuid(), 3, 2, 'order.confirmed'), (gen_random_uuid(), 3, 3, 'order.cancelled');
INSERT INTO webhook_deliveries (order_id, event_id, state, attempt)
    SELECT order_id, id, 'succeeded', 1 FROM order_events WHERE type <> 'order.placed' ORDER BY order_id, sequence;
INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code)
    SELECT id, 1, now(), 1, 200 FROM webhook_deliveries;
UPDATE orders SET webhook_sent = true WHERE id < 4;
"""

# What goes wrong, and the sentence that it breaks.
BREACHES = {
    "stock is the sum": "UPDATE products SET stock = 9",
    "sold each line exactly once": "DELETE FROM stock_movements WHERE order_id = 1",
    "only what was ordered and confirmed": "UPDATE stock_movements SET order_id = 2 WHERE kind = 'return'",
    "gave back what": "DELETE FROM stock_movements WHERE kind = 'return'",
    "the total of a confirmed": "UPDATE orders SET total_amount = 6 WHERE id = 1",
    "only a failed order a reason": "UPDATE orders SET failure_reason = '{}' WHERE id = 1",
    "without a gap": "UPDATE orders SET last_sequence = 3 WHERE id = 1",
    "legal story": "UPDATE order_events SET type = 'order.failed' WHERE order_id = 1 AND sequence = 2",
    "way forward within": "UPDATE orders SET rescue_at = now() + interval '3 hours' WHERE id = 4",
    "has an owner": "UPDATE orders SET status = 'processing', task_id = gen_random_uuid(), lease_until = now() WHERE id = 4",
    "exactly when it has been settled": "UPDATE orders SET settled_at = NULL WHERE id = 1",
    "answered with 2xx": "UPDATE webhook_attempts SET status_code = 500 WHERE delivery_id = 1",
    "webhook_sent says": "UPDATE orders SET webhook_sent = false WHERE id = 1",
    "is parked": "INSERT INTO outbox (queue, task, parked_at) VALUES ('orders', 'orders.process', now())",
    "has its delivery": "DELETE FROM webhook_attempts WHERE delivery_id = 1; DELETE FROM webhook_deliveries WHERE id = 1",
}

NOT_PLANTED = {
    "a pending delivery has a way forward",  # the database refuses to store the breach
    "nobody met a deadlock",  # takes two connections and a second
}


@pytest.fixture
def cursor(database: str) -> psycopg2.extensions.cursor:
    """Return a cursor on a sound database whose triggers are off: the breaches are not legal moves."""
    connection = psycopg2.connect(database)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(SOUND)
    cursor.execute("SET session_replication_role = replica")
    return cursor


def test_a_sound_database_has_no_faults(cursor: psycopg2.extensions.cursor) -> None:
    """Confirmed, failed, cancelled and pending orders are all well."""
    assert consistency.faults(cursor) == []
    assert consistency.unrest(cursor) == ["not true: every order is final (1 breaches, first [4])"]


@pytest.mark.parametrize("sentence", BREACHES)
def test_a_breach_is_found_and_named(cursor: psycopg2.extensions.cursor, sentence: str) -> None:
    """One row changed by hand is enough."""
    cursor.execute(BREACHES[sentence])
    assert sentence in "\n".join(consistency.faults(cursor))


def test_every_sentence_has_been_broken() -> None:
    """A sentence that nobody can break checks nothing."""
    sentences = {*consistency.ALWAYS, *consistency.WITH_ENDPOINT} - NOT_PLANTED
    unbroken = {sentence for sentence in sentences if not any(part in sentence for part in BREACHES)}
    assert unbroken == set()


def test_an_endless_queue_is_unrest(cursor: psycopg2.extensions.cursor) -> None:
    """A pending delivery and a row in the outbox are on their way."""
    cursor.execute("UPDATE webhook_deliveries SET state = 'pending', rescue_at = now() WHERE id = 1")
    cursor.execute("INSERT INTO outbox (queue, task) VALUES ('orders', 'orders.process')")
    assert len(consistency.unrest(cursor)) == 3
