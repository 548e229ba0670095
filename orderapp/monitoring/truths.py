"""What PostgreSQL knows of the service's state, for /metrics: right after any restart, for it is counted nowhere else.

Nothing is counted from end to end. What is open has partial indexes and is counted up to MOST; what has happened is looked
at for the last minute, by ids that grow with time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from orderapp.monitoring.marks import TIME_SHIFT
from orderapp.queues import EVENTS, QUEUE_NAMES
from orderapp.webhooks.retries import LAST_ATTEMPT

# Above it the number says no more than "very many"; counting as many rows of an index takes some 15 ms.
MOST = 100_000

# Outcomes of the last minute whose orders are looked up, newest first: enough for a 99th percentile.
SAMPLE = 2000

# What "recent" means. Prometheus asks every 15 s: it misses none.
WINDOW = timedelta(minutes=1)

# Rescuers come every 5 s: whatever has been due for a minute, they are not there.
OVERDUE = timedelta(minutes=1)

# What most wait, what one in twenty waits, what one in a hundred waits.
QUANTILES = (0.5, 0.95, 0.99)

# A page of metrics must not wait for a locked or busy database: Prometheus gives up after 10 s. The limit is each statement's;
# the first one that reaches it ends the look. Several that are slow and stay below it may outlast Prometheus together.
_LIMIT = text("SET LOCAL statement_timeout = '3s'")

_NOW = text("SELECT now()")

# A queue at a time, so that the planner knows whether it is full or empty. In the order of the index, here and below: for
# a count alone it would rather read the table, which it takes to be full of what is looked for.
_OUTBOX = text("""
SELECT CAST(:queue AS text) AS queue,
    (SELECT count(*) FROM (SELECT FROM outbox WHERE queue = :queue AND parked_at IS NULL AND available_at <= now()
        ORDER BY available_at LIMIT :most) AS due) AS due,
    (SELECT count(*) FROM (SELECT FROM outbox WHERE queue = :queue AND parked_at IS NULL AND available_at > now()
        ORDER BY available_at LIMIT :most) AS later) AS later,
    (SELECT count(*) FROM outbox WHERE queue = :queue AND parked_at IS NOT NULL) AS parked,
    coalesce(extract(epoch FROM now() - (SELECT available_at FROM outbox WHERE queue = :queue AND parked_at IS NULL
        AND available_at <= now() ORDER BY available_at LIMIT 1)), 0)::float AS oldest
""")

_ORDERS = text("""
SELECT
    (SELECT count(*) FROM (SELECT FROM orders WHERE status IN ('pending', 'processing')
        ORDER BY rescue_at LIMIT :most) AS o) AS open,
    (SELECT count(*) FROM (SELECT FROM orders WHERE status IN ('pending', 'processing') AND rescue_at < now() - :overdue
        ORDER BY rescue_at LIMIT :most) AS o) AS overdue
""")

_EVENTS = text("SELECT type, count(*) FROM order_events WHERE id >= :since GROUP BY type")

# An outcome that is its order's second event is the first one: a retried order was not under way all the time.
_SETTLED = text("""
SELECT percentile_disc(CAST(:quantiles AS float[])) WITHIN GROUP (ORDER BY seconds) AS seconds,
    count(*) FILTER (WHERE attempts <= 1) AS once, count(*) FILTER (WHERE attempts = 2) AS twice,
    count(*) FILTER (WHERE attempts > 2) AS more
FROM (SELECT extract(epoch FROM e.occurred_at - o.created_at)::float AS seconds, o.attempts
    FROM (SELECT order_id, sequence, occurred_at FROM order_events
        WHERE id >= :since AND type IN ('order.confirmed', 'order.failed') ORDER BY id DESC LIMIT :sample) AS e
    JOIN orders AS o ON o.id = e.order_id WHERE e.sequence = 2) AS settled
""")

# From the newest attempt down to the first one that is older: as many rows as the window holds.
_ATTEMPTS = text("""
SELECT count(*) FILTER (WHERE status_code BETWEEN 200 AND 299) AS received,
    count(*) FILTER (WHERE status_code NOT BETWEEN 200 AND 299) AS refused,
    count(*) FILTER (WHERE status_code IS NULL) AS unreachable,
    count(*) FILTER (WHERE attempt >= :last_attempt AND coalesce(status_code, 0) NOT BETWEEN 200 AND 299) AS given_up,
    percentile_disc(CAST(:quantiles AS float[])) WITHIN GROUP (ORDER BY duration_ms / 1000.0) AS seconds
FROM webhook_attempts WHERE id > coalesce(
    (SELECT id FROM webhook_attempts WHERE started_at < now() - :window ORDER BY id DESC LIMIT 1), 0)
""")

_WEBHOOKS = text("""
SELECT
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'pending' AND NOT waiting
        ORDER BY rescue_at LIMIT :most) AS d) AS pending,
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE waiting
        ORDER BY endpoint_id, due_at LIMIT :most) AS d) AS waiting,
    (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE state = 'pending' AND NOT waiting
        AND rescue_at < now() - :overdue ORDER BY rescue_at LIMIT :most) AS d) AS overdue
""")

_ENDPOINTS = text("""
SELECT count(*) FILTER (WHERE active AND open_until IS NULL) AS active,
    count(*) FILTER (WHERE active AND open_until IS NOT NULL) AS resting,
    count(*) FILTER (WHERE disabled_reason IN ('gone', 'failing')) AS given_up
FROM webhook_endpoints
""")

_CONNECTIONS = text("""
SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user GROUP BY 1
""")

# Everybody's, by a view that hides nobody's from a role without rights.
_CAPACITY = text("""
SELECT (SELECT sum(numbackends) FROM pg_stat_database)::int AS used,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most
""")


@dataclass(frozen=True)
class Truths:
    """One look at the database; rows have the names of the statements' columns."""

    outbox: Sequence[Row[Any]]
    orders: Mapping[str, int]
    events: dict[str, int]
    settled: Row[Any]
    attempts: Row[Any]
    webhooks: Mapping[str, int]
    endpoints: Mapping[str, int]
    connections: dict[str, int]
    capacity: Row[Any]


def look(session: Connection) -> Truths:
    """Return what is true now. Raises SQLAlchemyError when the database cannot say so within seconds."""
    session.execute(_LIMIT)
    since = _first_id(session.execute(_NOW).scalar_one() - WINDOW)
    values = {"most": MOST, "overdue": OVERDUE, "window": WINDOW, "sample": SAMPLE, "quantiles": list(QUANTILES)}
    values |= {"since": str(since), "last_attempt": LAST_ATTEMPT}
    return Truths(
        outbox=[session.execute(_OUTBOX, {**values, "queue": queue}).one() for queue in (*QUEUE_NAMES, EVENTS.queue)],
        orders=_numbers(session, _ORDERS, values),
        events={row[0]: row[1] for row in session.execute(_EVENTS, values)},
        settled=session.execute(_SETTLED, values).one(),
        attempts=session.execute(_ATTEMPTS, values).one(),
        webhooks=_numbers(session, _WEBHOOKS, values),
        endpoints=_numbers(session, _ENDPOINTS, values),
        connections={row[0]: row[1] for row in session.execute(_CONNECTIONS)},
        capacity=session.execute(_CAPACITY).one(),
    )


def _numbers(session: Connection, statement: TextClause, values: Mapping[str, Any]) -> Mapping[str, int]:
    return dict(session.execute(statement, values).mappings().one())


def _first_id(moment: datetime) -> UUID:
    """Return the smallest UUID of version 7 of that moment: events' ids sort by time."""
    return UUID(int=int(moment.timestamp() * 1000) << TIME_SHIFT)
