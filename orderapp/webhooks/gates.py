"""How many deliveries of an endpoint may go out now: its place in the world, its circuit breaker and its busy runs.

The state is in the endpoint's row, so that all workers share it. A receiver that hangs or is gone then holds a few
connections, and soon one now and then; its deliveries wait in PostgreSQL and use up no attempt.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from .endpoint import BUILT_IN, Endpoint, Receivers

# Runs that send to one endpoint at once, over all workers: enough for two worker processes, and a receiver that hangs
# occupies no more threads than this until its breaker opens.
MOST_RUNS = 4

# Deliveries of one run: one claim and one record for so many, and a kill in between repeats no more than these.
BATCH = 20

# Failures in a row that open the breaker: a single delivery, through all its ten attempts, is never held up by it.
MOST_FAILURES = 10

# Until the first probe, doubled with each probe that fails: a restart takes seconds.
PAUSE = timedelta(seconds=30)

# 30 s doubled five times are 16 minutes: a receiver that is back is noticed within that time, however long it was away.
MOST_DOUBLINGS = 5

# How long nothing but failures may come back before the endpoint is disabled: longer than all ten attempts of a delivery.
PATIENCE = timedelta(days=5)

# In a statement of its own and by id, after deliveries: whoever decides about an endpoint does so alone.
LOCK = text("SELECT id FROM webhook_endpoints WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

STATE = text("""
    SELECT e.id, e.active, e.url, e.secret,
        CASE WHEN e.previous_until > clock_timestamp() THEN e.previous_secret END AS previous,
        e.open_until IS NOT NULL AS tripped, coalesce(e.open_until > clock_timestamp(), false) AS resting,
        (SELECT count(DISTINCT d.run) FROM webhook_deliveries d
            WHERE d.endpoint_id = e.id AND d.lease_until > clock_timestamp()) AS runs
    FROM webhook_endpoints e WHERE e.id = ANY(:ids)
""")

# While the probe is out nobody else sends; should its worker die, the next probe goes out when its lease has lapsed.
PROBE = text("UPDATE webhook_endpoints SET open_until = clock_timestamp() + :lease WHERE id = :id")

SUCCEEDED = text("""
    UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, open_until = NULL
    WHERE id = :id AND (failures > 0 OR open_until IS NOT NULL)
    RETURNING id
""")

FAILED = text("""
    UPDATE webhook_endpoints
    SET failures = failures + :count, failing_since = coalesce(failing_since, clock_timestamp()),
        open_until = CASE WHEN failures + :count >= :most
            THEN clock_timestamp() + :pause * power(2, least(greatest(failures + :count - :most, 0), :most_doublings)) END
    WHERE id = :id
    RETURNING failures, failures >= :most AND failures - :count < :most AS opened,
        active AND failing_since <= clock_timestamp() - :patience AS hopeless
""")


@dataclass(frozen=True)
class Gate:
    """What one endpoint takes now: ``endpoint`` is None when it takes nothing any more."""

    endpoint: Endpoint | None
    room: int
    is_probe: bool


@dataclass(frozen=True)
class Verdict:
    """What failures did to an endpoint: its breaker opened just now, or it has been failing for too long."""

    opened: bool
    hopeless: bool


def locked(session: Connection, endpoint_ids: Collection[int], receivers: Receivers) -> dict[int, Gate]:
    """Lock the endpoints until the transaction ends; returns what each takes now."""
    ids = sorted(endpoint_ids)
    session.execute(LOCK, {"ids": ids})
    return {row.id: _gate(row, receivers) for row in session.execute(STATE, {"ids": ids})}


def _gate(row: Row[Any], receivers: Receivers) -> Gate:
    endpoint = _endpoint(row, receivers)
    if endpoint is None or row.resting or row.runs >= MOST_RUNS:
        return Gate(endpoint, 0, is_probe=False)
    tripped: bool = row.tripped
    return Gate(endpoint, 1 if tripped else BATCH, is_probe=tripped)


def _endpoint(row: Row[Any], receivers: Receivers) -> Endpoint | None:
    if not row.active:
        return None
    if row.id == BUILT_IN:
        return receivers.built_in
    return Endpoint(row.url, row.secret, receivers.allowed_hosts, row.previous)


def begin_probe(session: Connection, endpoint_id: int, lease: timedelta) -> None:
    """Let nobody else send while one delivery tries whether the receiver is back."""
    session.execute(PROBE, {"id": endpoint_id, "lease": lease})


def note_success(session: Connection, endpoint_id: int) -> bool:
    """Close the breaker; returns whether the endpoint had been failing."""
    return session.scalar(SUCCEEDED, {"id": endpoint_id}) is not None


def note_failures(session: Connection, endpoint_id: int, count: int) -> Verdict:
    """Count failures in a row; enough of them open the breaker, and each failed probe doubles its pause."""
    values = {"id": endpoint_id, "count": count, "most": MOST_FAILURES, "pause": PAUSE, "most_doublings": MOST_DOUBLINGS}
    row = session.execute(FAILED, {**values, "patience": PATIENCE}).one()
    return Verdict(row.opened, row.hopeless)
