"""The public history of orders, and who listens to it.

An event is recorded in the transaction that makes it true; listeners run inside that transaction, with the whole list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from flask import Flask, current_app
from sqlalchemy import Connection, text
from uuid_utils.compat import uuid7

PLACED = "order.placed"
CONFIRMED = "order.confirmed"
FAILED = "order.failed"
CANCELLED = "order.cancelled"
REOPENED = "order.reopened"

# The outcomes that receivers hear of.
FINAL = frozenset({CONFIRMED, FAILED, CANCELLED})

_RECORD = text("""
INSERT INTO order_events (id, order_id, sequence, type, data)
SELECT id, order_id, sequence, type, CAST(data AS jsonb)
FROM unnest(CAST(:ids AS uuid[]), CAST(:order_ids AS bigint[]), CAST(:sequences AS integer[]), CAST(:types AS text[]),
            CAST(:data AS text[])) AS e(id, order_id, sequence, type, data)
""")


@dataclass(frozen=True)
class OrderEvent:
    """Something that happened to an order; ``sequence`` is gap-free per order, ``id`` becomes the webhook-id."""

    id: UUID
    order_id: int
    sequence: int
    type: str
    data: dict[str, Any]


Listener = Callable[[Connection, Sequence[OrderEvent]], None]


def new_event(order_id: int, sequence: int, kind: str, data: dict[str, Any]) -> OrderEvent:
    """Return an event with an id of its own; ids sort by time, so their index grows at one end."""
    return OrderEvent(uuid7(), order_id, sequence, kind, data)


def subscribe(app: Flask, listener: Listener) -> None:
    """Call the listener with every list of events recorded in this application, inside their transaction."""
    app.extensions.setdefault("order_event_listeners", []).append(listener)


def record(session: Connection, events: Sequence[OrderEvent]) -> None:
    """Append the events and tell the listeners; what these raise undoes the transaction."""
    if not events:
        return
    session.execute(
        _RECORD,
        {
            "ids": [str(event.id) for event in events],
            "order_ids": [event.order_id for event in events],
            "sequences": [event.sequence for event in events],
            "types": [event.type for event in events],
            "data": [orjson.dumps(event.data).decode() for event in events],
        },
    )
    tell(session, events)


def tell(session: Connection, events: Sequence[OrderEvent]) -> None:
    """Tell the listeners of events that were recorded in this transaction; what these raise undoes it."""
    for listener in current_app.extensions.get("order_event_listeners", ()):
        listener(session, events)
