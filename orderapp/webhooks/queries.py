"""Questions about endpoints and deliveries, for acts, doors and other rooms."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from .endpoint import BUILT_IN

# Deliveries sent again a second, unless told otherwise: a receiver that lost a day's events must not lose the next, too.
USUAL_RATE = 50

STATES = ("pending", "succeeded", "exhausted", "disabled")

# The latest event of all, and only final ones have deliveries: after a reopening there is nothing that anybody could have
# been told, whatever became of the old webhook. A resend repeats what was received; a ping is about no order.
ALL_RECEIVED = text("""
    SELECT o.id FROM unnest(CAST(:order_ids AS bigint[])) AS o (id)
    WHERE (SELECT count(*) > 0 AND bool_and(d.state = 'succeeded')
        FROM webhook_deliveries d
        WHERE d.resend_of IS NULL
          AND d.event_id = (SELECT id FROM order_events WHERE order_id = o.id ORDER BY sequence DESC LIMIT 1))
""")

# What a filter leaves over; also of the resend by filter. A ping has no event and so no type.
FITTING = """
    (CAST(:state AS text) IS NULL OR d.state = :state)
    AND (CAST(:order_id AS bigint) IS NULL OR d.order_id = :order_id)
    AND (CAST(:endpoint_id AS bigint) IS NULL OR d.endpoint_id = :endpoint_id)
    AND (CAST(:type AS text) IS NULL OR e.type = :type)
    AND (CAST(:since AS timestamptz) IS NULL OR d.created_at >= :since)
    AND (CAST(:until AS timestamptz) IS NULL OR d.created_at < :until)
"""

# What is pending is sent anyway, and a repetition is no event of its own.
AGAIN = f"""
    FROM webhook_deliveries d JOIN order_events e ON e.id = d.event_id
    JOIN webhook_endpoints w ON w.id = d.endpoint_id AND w.active AND (w.id <> {BUILT_IN} OR :enabled)
    WHERE {FITTING} AND d.resend_of IS NULL AND d.state <> 'pending'
"""

# Without a limit, to the end.
COUNT = text(f"SELECT count(*) FROM (SELECT {AGAIN} LIMIT :limit) AS fitting")

DELIVERIES = text(f"""
    SELECT d.id, d.order_id, coalesce(e.type, 'endpoint.ping') AS type, d.state, d.attempt, d.due_at, d.finished_at,
        a.status_code, a.error, d.endpoint_id
    FROM webhook_deliveries d
    LEFT JOIN order_events e ON e.id = d.event_id
    LEFT JOIN LATERAL (
        SELECT status_code, error FROM webhook_attempts WHERE delivery_id = d.id ORDER BY attempt DESC LIMIT 1) a ON true
    WHERE {FITTING} AND (CAST(:before AS bigint) IS NULL OR d.id < :before)
    ORDER BY d.id DESC LIMIT :limit
""")

ATTEMPTS = text("""
    SELECT attempt, started_at, duration_ms, status_code, error, answer FROM webhook_attempts
    WHERE delivery_id = :id ORDER BY attempt
""")

ENDPOINTS = text("""
    SELECT e.id, e.url, e.event_types, e.description, e.active, e.disabled_reason, e.failures, e.failing_since, e.open_until,
        e.created_at, c.name AS client
    FROM webhook_endpoints e LEFT JOIN api_clients c ON c.id = e.client_id
    WHERE e.disabled_reason IS DISTINCT FROM 'deleted'
      AND (CAST(:owner AS bigint) IS NULL OR e.client_id = :owner)
      AND (CAST(:id AS bigint) IS NULL OR e.id = :id)
    ORDER BY e.id
""")

DELIVERY = text("SELECT count(*) FROM webhook_deliveries WHERE id = :id AND endpoint_id = :endpoint_id")

CLIENT = text("SELECT id FROM api_clients WHERE name = :name")


@dataclass(frozen=True)
class Wanted:
    """Which deliveries: of one state, order, endpoint, type, and created from ``since`` until before ``until``."""

    state: str | None = None
    order_id: int | None = None
    endpoint_id: int | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Delivery:
    """One delivery as an operator sees it; ``status_code`` and ``error`` are of its last recorded attempt."""

    id: int
    order_id: int | None
    type: str
    state: str
    attempt: int
    due_at: datetime
    finished_at: datetime | None
    status_code: int | None
    error: str | None
    endpoint_id: int


@dataclass(frozen=True)
class Attempt:
    """One POST and the beginning of its answer."""

    attempt: int
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    answer: str | None


@dataclass(frozen=True)
class EndpointView:
    """An endpoint without its secrets; the built-in one has no URL here, the operator's have no client."""

    id: int
    url: str | None
    event_types: list[str]
    description: str
    active: bool
    disabled_reason: str | None
    failures: int
    failing_since: datetime | None
    open_until: datetime | None
    created_at: datetime
    client: str | None


def all_received(session: Connection, order_ids: Sequence[int]) -> list[int]:
    """Return those of the orders whose latest event is final, has a delivery, and every one of them succeeded."""
    return list(session.scalars(ALL_RECEIVED, {"order_ids": list(order_ids)}))


def deliveries(session: Connection, wanted: Wanted, limit: int, before: int | None = None) -> list[Delivery]:
    """Return deliveries, newest first; ``before`` an id goes on with the list."""
    rows = session.execute(DELIVERIES, {**vars(wanted), "limit": limit, "before": before})
    return [Delivery(*row) for row in rows]


def count_again(session: Connection, wanted: Wanted, *, enabled: bool, limit: int | None = None) -> int:
    """Return how many deliveries a resend by this filter would send: finished ones, to endpoints that listen.

    Stops counting at ``limit``.
    """
    return int(session.execute(COUNT, {**vars(wanted), "enabled": enabled, "limit": limit}).scalar_one())


def attempts(session: Connection, delivery_id: int) -> list[Attempt]:
    """Return what is kept of a delivery's attempts, oldest first."""
    return [Attempt(*row) for row in session.execute(ATTEMPTS, {"id": delivery_id})]


def belongs(session: Connection, delivery_id: int, endpoint_id: int) -> bool:
    """Tell whether there is such a delivery of this endpoint."""
    return bool(session.scalar(DELIVERY, {"id": delivery_id, "endpoint_id": endpoint_id}))


def endpoints(session: Connection, owner: int | None = None, endpoint_id: int | None = None) -> list[EndpointView]:
    """Return the endpoints, of one client or one by its id, without those that were deleted."""
    return [EndpointView(*row) for row in session.execute(ENDPOINTS, {"owner": owner, "id": endpoint_id})]


def client_id(session: Connection, name: str) -> int | None:
    """Return the id of the API client of this name."""
    found: int | None = session.scalar(CLIENT, {"name": name})
    return found
