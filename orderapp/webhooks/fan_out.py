"""From an order's event to its deliveries, inside the transaction that settles or cancels the order."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from orderapp.orders.events import FINAL, OrderEvent
from orderapp.outbox.messages import enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from .claims import RESCUE_AFTER
from .endpoint import BUILT_IN

# A client's endpoint hears of that client's orders, one without an owner of all: the operator's and the built-in one. The
# ids once more as a list, for the planner (see _SETTLE in orders/states.py).
INSERT = text("""
    INSERT INTO webhook_deliveries (order_id, event_id, endpoint_id, state, due_at, rescue_at)
    SELECT event.order_id, event.id, endpoint.id, 'pending', clock_timestamp(), clock_timestamp() + :rescue_after
    FROM unnest(CAST(:order_ids AS bigint[]), CAST(:event_ids AS uuid[]), CAST(:types AS text[]))
        WITH ORDINALITY AS event (order_id, id, type, place)
    JOIN orders ON orders.id = event.order_id AND orders.id = ANY(:order_ids)
    JOIN webhook_endpoints AS endpoint ON endpoint.active AND event.type = ANY(endpoint.event_types)
        AND (endpoint.client_id IS NULL OR endpoint.client_id = orders.client_id)
        AND (endpoint.id <> :built_in OR :enabled)
    ORDER BY event.place, endpoint.id
    RETURNING id
""")


def fan_out(session: Connection, events: Sequence[OrderEvent], enabled: bool) -> None:
    """Write one delivery and its outbox row for each final event and each active endpoint that subscribes to its type.

    ``enabled`` tells whether the built-in endpoint is set.
    """
    final = [event for event in events if event.type in FINAL]
    if not final:
        return
    rows = session.scalars(
        INSERT,
        {
            "order_ids": [event.order_id for event in final],
            "event_ids": [str(event.id) for event in final],
            "types": [event.type for event in final],
            "rescue_after": RESCUE_AFTER,
            "built_in": BUILT_IN,
            "enabled": enabled,
        },
    )
    enqueue_many(WEBHOOKS_DELIVER, list(rows))
