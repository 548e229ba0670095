"""Reading orders: the shape that GET, POST and webhooks show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from orderapp.errors import ConflictError
from orderapp.orders.events import PLACED, REOPENED

# Places that one page of the feed looks at: about 20 ms for a client that none of these events belong to.
FEED_SPAN = 5_000

# The names one by one: joined, all products of a small shop were read for one order, and all orders for a page of a hundred.
_SHOWN = """
SELECT orders.id, orders.status, orders.total_amount, orders.currency, orders.reference, orders.webhook_sent,
    orders.failure_reason, orders.created_at, order_items.id AS item_id,
    (SELECT name FROM products WHERE products.id = order_items.product_id) AS product, order_items.product_id,
    order_items.quantity, order_items.unit_price
FROM orders JOIN order_items ON order_items.order_id = orders.id
"""

_ORDER = text(f"""{_SHOWN}
WHERE orders.id = :order_id AND (CAST(:client_id AS bigint) IS NULL OR orders.client_id = :client_id)
ORDER BY order_items.id
""").execution_options(prepared="show_order")

# The ids once more for the lines: with them given for the orders only, all lines were read.
_ORDERS = text(f"""{_SHOWN}
WHERE orders.id = ANY(:ids) AND order_items.order_id = ANY(:ids)
ORDER BY order_items.id
""")

_BELONGS = text("SELECT EXISTS (SELECT 1 FROM orders WHERE id = :order_id AND client_id = :client_id)")

_EVENTS = text("""
SELECT id, order_id, sequence, type, data, occurred_at FROM order_events WHERE id = ANY(CAST(:event_ids AS uuid[]))
""")

# In the index's order, and no EXISTS, which drops it: while statistics say that most events have no place, a planner looks
# for one from the table's beginning (60 ms at 100,000 events, instead of 0.1).
_AN_UNPLACED = text("SELECT order_id FROM order_events WHERE position IS NULL ORDER BY order_id, sequence LIMIT 1")

_LAST_PLACE = text("SELECT coalesce(max(position), 0) FROM order_events")

# The owner of each by its order: joined, the orders of a client with few events were read one and all.
_FEED = text("""
SELECT position, id, type, order_id, sequence, occurred_at, data FROM order_events
WHERE position > :after AND position <= :upto
    AND (SELECT client_id FROM orders WHERE orders.id = order_events.order_id) = :client_id
ORDER BY position LIMIT :limit
""")

_PROGRESS = text("SELECT id, task_id, attempts, lease_until, rescue_at, settled_at FROM orders WHERE id = :order_id")

_HISTORY = text("SELECT sequence, type, data, occurred_at FROM order_events WHERE order_id = :order_id ORDER BY sequence")


@dataclass(frozen=True)
class ItemView:
    """One line of an order, at the price quoted when it was placed."""

    id: int
    product: str
    product_id: int
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True)
class OrderView:
    """One order as the outside sees it; money in ``currency``, two decimals."""

    id: int
    status: str
    total_amount: Decimal | None
    currency: str
    reference: str | None
    webhook_sent: bool
    items: tuple[ItemView, ...]
    failure_reason: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True)
class EventSnapshot:
    """An event with its order as it was at that moment; only a product renamed since shows its new name."""

    id: UUID
    type: str
    sequence: int
    occurred_at: datetime
    order: OrderView


@dataclass(frozen=True)
class PlacedEvent:
    """An event in the feed; ``position`` grows, ``id`` is the webhook-id."""

    position: int
    id: UUID
    type: str
    order_id: int
    sequence: int
    occurred_at: datetime
    data: dict[str, Any]


@dataclass(frozen=True)
class FeedPage:
    """Events of one client; ``next`` is where the following page begins, and ``more`` tells whether it has any already."""

    data: list[PlacedEvent]
    next: int
    more: bool


def view_of(rows: Sequence[Any]) -> OrderView:
    """Return the order that these rows (one per line) describe."""
    first = rows[0]
    items = tuple(ItemView(row.item_id, row.product, row.product_id, row.quantity, row.unit_price) for row in rows)
    return OrderView(
        first.id,
        first.status,
        first.total_amount,
        first.currency,
        first.reference,
        first.webhook_sent,
        items,
        first.failure_reason,
        first.created_at,
    )


def get_order(session: Connection, order_id: int, client_id: int | None = None) -> OrderView | None:
    """Return the order, if this client owns it; client None is the operator, who sees all."""
    rows = session.execute(_ORDER, {"order_id": order_id, "client_id": client_id}).all()
    return view_of(rows) if rows else None


def get_orders(session: Connection, order_ids: Sequence[int]) -> list[OrderView]:
    """Return these orders, in this order."""
    rows: dict[int, list[Any]] = {order_id: [] for order_id in order_ids}
    for row in session.execute(_ORDERS, {"ids": list(order_ids)}):
        rows[row.id].append(row)
    return [view_of(lines) for lines in rows.values()]


def belongs(session: Connection, order_id: int, client_id: int) -> bool:
    """Tell whether there is such an order, and this client owns it."""
    return bool(session.scalar(_BELONGS, {"order_id": order_id, "client_id": client_id}))


def event_snapshots(session: Connection, event_ids: Sequence[UUID]) -> dict[UUID, EventSnapshot]:
    """Return the events, each with its order as of that event."""
    events = session.execute(_EVENTS, {"event_ids": [str(event_id) for event_id in event_ids]}).all()
    orders = {order.id: order for order in get_orders(session, list({event.order_id for event in events}))}
    return {event.id: _snapshot(event, orders[event.order_id]) for event in events}


def _snapshot(event: Any, order: OrderView) -> EventSnapshot:
    total = event.data.get("total_amount")
    order = replace(
        order,
        status="pending" if event.type in {PLACED, REOPENED} else event.type.removeprefix("order."),
        total_amount=Decimal(total) if total is not None else None,
        failure_reason=event.data.get("failure_reason"),
        webhook_sent=False,
    )
    return EventSnapshot(event.id, event.type, event.sequence, event.occurred_at, order)


def any_unplaced(session: Connection) -> bool:
    """Tell whether there are events without a place in the feed."""
    return session.scalar(_AN_UNPLACED) is not None


def feed_page(session: Connection, client_id: int, after: int, limit: int) -> FeedPage:
    """Return the client's events behind this place. Raises ConflictError for a place that does not exist yet."""
    last: int = session.execute(_LAST_PLACE).scalar_one()
    if after > last:
        raise ConflictError(
            f"The feed ends at {last}, before {after}: it was restored from a backup. Begin again at {last} or earlier."
        )
    upto = min(last, after + FEED_SPAN)
    values = {"after": after, "upto": upto, "client_id": client_id, "limit": limit}
    page = [PlacedEvent(*row) for row in session.execute(_FEED, values)]
    end = page[-1].position if len(page) == limit else upto
    return FeedPage(page, end, more=end < last)


def processing_of(session: Connection, order_id: int) -> dict[str, Any]:
    """Return what the operator sees beside the order: its claim, its way forward, its events."""
    claim = dict(session.execute(_PROGRESS, {"order_id": order_id}).mappings().one())
    return claim | {"events": [dict(row) for row in session.execute(_HISTORY, {"order_id": order_id}).mappings()]}
