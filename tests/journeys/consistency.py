"""What must be true of the whole database after every test, whatever was killed, repeated or lost in it.

Each entry is a sentence and a query; the query returns the ids of what breaks the sentence.
"""

from typing import Any

ALWAYS = {
    "stock is the sum of its movements": """
        SELECT id FROM products
        WHERE stock <> (SELECT coalesce(sum(delta), 0) FROM stock_movements WHERE product_id = products.id)
    """,
    "a confirmed or cancelled-after-confirmed order sold each line exactly once": """
        SELECT order_id FROM order_items JOIN orders ON orders.id = order_id
        WHERE EXISTS (SELECT 1 FROM order_events e WHERE e.order_id = orders.id AND e.type = 'order.confirmed')
          AND (SELECT coalesce(array_agg(delta), '{}') FROM stock_movements m
               WHERE m.order_id = orders.id AND m.product_id = order_items.product_id AND kind = 'sale') <> ARRAY[-quantity]
    """,
    "only what was ordered and confirmed is sold": """
        SELECT m.order_id FROM stock_movements m
        LEFT JOIN order_items i ON i.order_id = m.order_id AND i.product_id = m.product_id
        WHERE m.order_id IS NOT NULL AND (i.id IS NULL OR NOT EXISTS (
            SELECT 1 FROM order_events e WHERE e.order_id = m.order_id AND e.type = 'order.confirmed'))
    """,
    "exactly the cancelled orders gave back what they had bought": """
        SELECT sale.order_id FROM stock_movements sale JOIN orders ON orders.id = sale.order_id
        LEFT JOIN stock_movements back
            ON back.order_id = sale.order_id AND back.product_id = sale.product_id AND back.kind = 'return'
        WHERE sale.kind = 'sale' AND back.delta IS DISTINCT FROM CASE WHEN status = 'cancelled' THEN -sale.delta END
    """,
    "the total of a confirmed order is the sum of its lines": """
        SELECT id FROM orders WHERE status = 'confirmed'
          AND total_amount <> (SELECT sum(quantity * unit_price) FROM order_items WHERE order_id = orders.id)
    """,
    "only what was confirmed has a total, only a failed order a reason": """
        SELECT id FROM orders WHERE (status IN ('pending', 'processing', 'failed') AND total_amount IS NOT NULL)
          OR (failure_reason IS NULL) = (status = 'failed')
    """,
    "events are numbered without a gap up to last_sequence": """
        SELECT id FROM orders WHERE ARRAY(SELECT generate_series(1, last_sequence)) <> ARRAY(
            SELECT sequence FROM order_events WHERE order_id = orders.id ORDER BY sequence)
    """,
    "events tell a legal story that ends at the order's status": """
        SELECT id FROM orders
        CROSS JOIN LATERAL (SELECT string_agg(split_part(type, '.', 2), ' ' ORDER BY sequence) AS story
                            FROM order_events WHERE order_id = orders.id) AS history
        WHERE story IS NULL OR story !~ CASE
            WHEN status IN ('pending', 'processing') THEN '^placed( failed reopened)*$'
            WHEN status = 'cancelled' THEN '^placed( failed reopened)*( confirmed)? cancelled$'
            ELSE '^placed( failed reopened)* ' || status || '$' END
    """,
    "an open order has a way forward within two hours": """
        SELECT id FROM orders WHERE status IN ('pending', 'processing')
          AND (rescue_at IS NULL OR rescue_at > now() + interval '2 hours')
    """,
    "a processing order has an owner and an end of its claim": """
        SELECT id FROM orders WHERE status = 'processing' AND (task_id IS NULL OR lease_until IS NULL OR attempts = 0)
    """,
    "an order is final exactly when it has been settled": """
        SELECT id FROM orders WHERE status IN ('confirmed', 'failed') AND settled_at IS NULL
           OR status IN ('pending', 'processing') AND settled_at IS NOT NULL
    """,
    "a pending delivery has a way forward": """
        SELECT id FROM webhook_deliveries WHERE state = 'pending' AND rescue_at IS NULL
    """,
    "a delivery succeeded exactly when one of its attempts was answered with 2xx": """
        SELECT id FROM webhook_deliveries d WHERE (state = 'succeeded') <> (
            SELECT count(*) = 1 FROM webhook_attempts WHERE delivery_id = d.id AND status_code BETWEEN 200 AND 299)
    """,
    "webhook_sent says that the latest final event was received": """
        SELECT orders.id FROM orders
        JOIN order_events e ON e.order_id = orders.id AND e.sequence = orders.last_sequence
        LEFT JOIN webhook_deliveries d ON d.event_id = e.id
        WHERE webhook_sent <> coalesce(d.state = 'succeeded', false)
    """,
    "no message is parked": "SELECT id FROM outbox WHERE parked_at IS NOT NULL",
    "nobody met a deadlock": "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database() AND deadlocks > 0",
}

WITH_ENDPOINT = {
    "every final event has its delivery, and nothing else has one": """
        SELECT coalesce(e.order_id, d.order_id) FROM order_events e FULL JOIN webhook_deliveries d ON d.event_id = e.id
        WHERE (d.id IS NOT NULL) <> (e.type IN ('order.confirmed', 'order.failed', 'order.cancelled'))
    """,
}

AT_REST = {
    "every order is final": "SELECT id FROM orders WHERE status IN ('pending', 'processing')",
    "every delivery is finished": "SELECT id FROM webhook_deliveries WHERE state = 'pending'",
    "the outbox is empty": "SELECT id FROM outbox",
}


def faults(cursor: Any, *, endpoint: bool = True) -> list[str]:
    """Return each broken sentence with the first ids that break it; true of a database at any instant."""
    return _broken(cursor, ALWAYS | (WITH_ENDPOINT if endpoint else {}))


def unrest(cursor: Any) -> list[str]:
    """Return what is still on its way, in the same form; a world at rest has none."""
    return _broken(cursor, AT_REST)


def _broken(cursor: Any, rules: dict[str, str]) -> list[str]:
    found = []
    for sentence, query in rules.items():
        cursor.execute(query)
        ids = [row[0] for row in cursor.fetchall()]
        if ids:
            found.append(f"not true: {sentence} ({len(ids)} breaches, first {ids[:5]})")
    return found
