"""What receivers were sent about an order: this room's part of the timeline."""

from sqlalchemy import Connection, text

from orderapp.orders.timeline import Entry

# Not the error's text: it may name addresses inside our network. Delivery by delivery: on a table without statistics, a
# join read all attempts there are.
_ATTEMPTS = text("""
SELECT a.started_at, 'webhook.attempt' AS kind, jsonb_build_object(
    'delivery_id', d.id, 'event_id', d.event_id, 'attempt', a.attempt, 'status_code', a.status_code,
    'duration_ms', a.duration_ms) AS details
FROM webhook_deliveries d CROSS JOIN LATERAL (SELECT * FROM webhook_attempts WHERE delivery_id = d.id OFFSET 0) AS a
WHERE d.order_id = :order_id ORDER BY a.id
""")


def attempts_about(session: Connection, order_id: int) -> list[Entry]:
    """Return every POST that was made about this order, with its answer's code and how long it took."""
    return [Entry(*row) for row in session.execute(_ATTEMPTS, {"order_id": order_id})]
