"""From an order's event to its deliveries, inside the transaction that settles or cancels the order."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from orderapp.orders.events import FINAL, OrderEvent
from orderapp.outbox.messages import enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from .claims import RESCUE_AFTER

INSERT = text("""
    INSERT INTO webhook_deliveries (order_id, event_id, state, due_at, rescue_at)
    SELECT event.order_id, event.id, 'pending', clock_timestamp(), clock_timestamp() + :rescue_after
    FROM unnest(CAST(:order_ids AS bigint[]), CAST(:event_ids AS uuid[])) AS event (order_id, id)
    RETURNING id
""")


def fan_out(session: Session, events: Sequence[OrderEvent], enabled: bool) -> None:
    """Write one delivery and its outbox row for each final event; nothing when no endpoint is configured."""
    final = [event for event in events if event.type in FINAL]
    if not final or not enabled:
        return
    rows = session.scalars(
        INSERT,
        {
            "order_ids": [event.order_id for event in final],
            "event_ids": [str(event.id) for event in final],
            "rescue_after": RESCUE_AFTER,
        },
    )
    enqueue_many(WEBHOOKS_DELIVER, list(rows))
