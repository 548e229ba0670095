"""What happened to one order, step by step: a union of what the rooms know of it.

Orders knows its events, its claim and what the order took from stock; rooms above add theirs, introduced by the roof.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Connection, text

# In the order in which one transaction writes them: the same instant shows the cause first.
_OWN = text("""
SELECT claimed_at AS at, 'order.claimed' AS kind,
    jsonb_build_object('task_id', task_id, 'attempts', attempts, 'lease_until', lease_until) AS details
FROM orders WHERE id = :order_id AND claimed_at IS NOT NULL AND attempts > 0
UNION ALL
(SELECT created_at, 'stock.' || kind, jsonb_build_object('product_id', product_id, 'delta', delta)
FROM stock_movements WHERE order_id = :order_id ORDER BY id)
UNION ALL
(SELECT occurred_at, type, data || jsonb_build_object('id', id, 'sequence', sequence)
FROM order_events WHERE order_id = :order_id ORDER BY sequence)
""")


@dataclass(frozen=True)
class Entry:
    """One step: when, of what kind, and the rest."""

    at: datetime
    kind: str
    details: dict[str, Any]


Source = Callable[[Connection, int], Sequence[Entry]]


def register(app: Flask, source: Source) -> None:
    """Let a room add what it knows of an order, given by its id, to every timeline of this application."""
    app.extensions.setdefault("order_timeline_sources", []).append(source)


def timeline_of(session: Connection, order_id: int) -> list[Entry]:
    """Return all that is known of an order, oldest first."""
    entries = [Entry(*row) for row in session.execute(_OWN, {"order_id": order_id})]
    for source in current_app.extensions.get("order_timeline_sources", ()):
        entries.extend(source(session, order_id))
    return sorted(entries, key=lambda entry: entry.at)
