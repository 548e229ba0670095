"""Questions about deliveries, for acts, doors and other rooms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

# The latest event of all, and only final ones have deliveries: after a reopening there is nothing that anybody could have
# been told, whatever became of the old webhook. A resend repeats what was received; a ping is about no order.
ALL_RECEIVED = text("""
    SELECT o.id FROM unnest(CAST(:order_ids AS bigint[])) AS o (id)
    WHERE (SELECT count(*) > 0 AND bool_and(d.state = 'succeeded')
        FROM webhook_deliveries d
        WHERE d.resend_of IS NULL
          AND d.event_id = (SELECT id FROM order_events WHERE order_id = o.id ORDER BY sequence DESC LIMIT 1))
""")

DELIVERIES = text("""
    SELECT d.id, d.order_id, e.type, d.state, d.attempt, d.due_at, d.finished_at, a.status_code, a.error
    FROM webhook_deliveries d
    JOIN order_events e ON e.id = d.event_id
    LEFT JOIN LATERAL (
        SELECT status_code, error FROM webhook_attempts WHERE delivery_id = d.id ORDER BY attempt DESC LIMIT 1) a ON true
    WHERE (CAST(:state AS text) IS NULL OR d.state = :state)
      AND (CAST(:order_id AS bigint) IS NULL OR d.order_id = :order_id)
    ORDER BY d.id DESC LIMIT :limit
""")


@dataclass(frozen=True)
class Delivery:
    """One delivery as an operator sees it; ``status_code`` and ``error`` are of its last recorded attempt."""

    id: int
    order_id: int
    type: str
    state: str
    attempt: int
    due_at: datetime
    finished_at: datetime | None
    status_code: int | None
    error: str | None


def all_received(session: Session, order_ids: Sequence[int]) -> list[int]:
    """Return those of the orders whose latest event is final, has a delivery, and every one of them succeeded."""
    return list(session.scalars(ALL_RECEIVED, {"order_ids": list(order_ids)}))


def deliveries(session: Session, state: str | None, order_id: int | None, limit: int) -> list[Delivery]:
    """Return deliveries, newest first, optionally of one state or one order."""
    rows = session.execute(DELIVERIES, {"state": state, "order_id": order_id, "limit": limit})
    return [Delivery(*row) for row in rows]
