"""Who may send which deliveries now: the claim, its end without a POST, and the end of deliveries nobody listens to."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from orderapp.outbox.messages import enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from . import gates
from .endpoint import Endpoint, Receivers
from .gates import Gate
from .retries import LAST_ATTEMPT

# Longer than a run can take: it begins no POST after 6 s, one takes 15 s, its record may wait 5 s for a lock. While a run
# can still record, nobody else sends.
LEASE = timedelta(seconds=45)

# How long after it is due a delivery is missed: its message normally arrives within a second.
RESCUE_AFTER = timedelta(seconds=30)

# In a statement of its own and by id: two runs with lists that overlap would deadlock in the UPDATE.
LOCK = text("SELECT id FROM webhook_deliveries WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

# A message that comes twice, early or late finds nothing to take. A lapsed lease after the last attempt is left to the
# rescuer, which gives the delivery up.
DUE = text("""
    SELECT id, endpoint_id, lease_until IS NOT NULL AS lapsed FROM webhook_deliveries
    WHERE id = ANY(:ids) AND state = 'pending' AND due_at <= clock_timestamp()
      AND (lease_until IS NULL OR (lease_until <= clock_timestamp() AND attempt < :last_attempt))
    ORDER BY id
""")

# Locked by whoever handles a message about it: that run decides about it itself.
WAITING = text("""
    SELECT id FROM webhook_deliveries WHERE endpoint_id = :endpoint_id AND waiting
    ORDER BY due_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")

TAKE = text("""
    UPDATE webhook_deliveries
    SET attempt = attempt + 1, rescues = 0, run = :run, waiting = false,
        lease_until = clock_timestamp() + :lease, rescue_at = clock_timestamp() + :lease
    WHERE id = ANY(:ids)
    RETURNING id, attempt, order_id, event_id, ping_id, created_at
""")

WAIT = text("UPDATE webhook_deliveries SET waiting = true, lease_until = NULL, run = NULL WHERE id = ANY(:ids)")

GIVE_BACK = text("""
    UPDATE webhook_deliveries d
    SET attempt = d.attempt - 1, lease_until = NULL, run = NULL, due_at = clock_timestamp(),
        rescue_at = clock_timestamp() + :rescue_after
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[])) AS mine (id, attempt)
    WHERE d.id = mine.id AND d.attempt = mine.attempt AND d.state = 'pending'
    RETURNING d.id
""")

DISABLE = text("""
    UPDATE webhook_deliveries
    SET state = 'disabled', lease_until = NULL, run = NULL, waiting = false, finished_at = clock_timestamp()
    WHERE id = ANY(:ids)
""")


@dataclass(frozen=True)
class Claim:
    """The right to send one delivery once; ``attempt`` is the fence against a run that comes back from the dead."""

    id: int
    attempt: int
    order_id: int | None
    event_id: UUID | None
    ping_id: UUID | None
    created_at: Any

    @property
    def webhook_id(self) -> str:
        """Return what the receiver knows it by, at every attempt and every resend."""
        return str(self.event_id or self.ping_id)


@dataclass(frozen=True)
class Run:
    """One worker's turn with one endpoint: what it may send now."""

    id: UUID
    endpoint_id: int
    endpoint: Endpoint
    claims: Sequence[Claim]


@dataclass
class Taken:
    """What became of the deliveries of a message: runs to send them, and those that nobody listens to any more."""

    runs: list[Run] = field(default_factory=list)
    disabled: list[int] = field(default_factory=list)


def take(session: Connection, delivery_ids: Sequence[int], receivers: Receivers) -> Taken:
    """Claim those of the deliveries that are due and not being sent, as many as each endpoint takes now; the rest wait."""
    session.execute(LOCK, {"ids": list(delivery_ids)})
    due: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in session.execute(DUE, {"ids": list(delivery_ids), "last_attempt": LAST_ATTEMPT}):
        due[row.endpoint_id].append(row)
    taken = Taken()
    if due:
        for endpoint_id, gate in gates.locked(session, due, receivers).items():
            _pass_through(session, endpoint_id, gate, due[endpoint_id], taken)
    return taken


def _pass_through(session: Connection, endpoint_id: int, gate: Gate, rows: list[Row[Any]], taken: Taken) -> None:
    ids = [row.id for row in rows]
    if gate.endpoint is None:
        session.execute(DISABLE, {"ids": ids})
        taken.disabled += ids
        return
    fresh = [row.id for row in rows if not row.lapsed]
    if gate.room and not fresh:
        # Their worker died, and one of them may be why: each goes alone, so that it takes no neighbour with it.
        chosen, again = ids[:1], ids[1:]
        enqueue_many(WEBHOOKS_DELIVER, again)
    else:
        chosen = fresh[: gate.room]
        turned_away = [one for one in ids if one not in chosen]
        if turned_away:
            session.execute(WAIT, {"ids": turned_away})
    if chosen:
        taken.runs.append(_claimed(session, endpoint_id, gate, chosen, uuid4()))


def take_waiting(session: Connection, run: Run, receivers: Receivers, most: int) -> Run | None:
    """Go on with ``most`` deliveries that found no place while this run was busy, or that waited for the receiver's return.

    The caller has written down what became of the claims before: the run's own place is free. Under the endpoint's lock,
    so that a message that comes now either is seen here or sees the place free.
    """
    gate = gates.locked(session, [run.endpoint_id], receivers)[run.endpoint_id]
    if gate.endpoint is None or not gate.room:
        return None
    limit = gate.room if gate.is_probe else most
    ids = list(session.scalars(WAITING, {"endpoint_id": run.endpoint_id, "limit": limit}))
    return _claimed(session, run.endpoint_id, gate, ids, run.id) if ids else None


def _claimed(session: Connection, endpoint_id: int, gate: Gate, ids: list[int], run: UUID) -> Run:
    if gate.endpoint is None:
        raise ValueError("nothing is claimed for an endpoint that takes nothing")
    if gate.is_probe:
        gates.begin_probe(session, endpoint_id, LEASE)
    rows = session.execute(TAKE, {"ids": ids, "run": str(run), "lease": LEASE})
    return Run(run, endpoint_id, gate.endpoint, sorted((Claim(*row) for row in rows), key=lambda claim: claim.id))


def wake_one(session: Connection, endpoint_id: int) -> None:
    """Send a message for one delivery that waits, if any does: this run has had its time, another goes on."""
    enqueue_many(WEBHOOKS_DELIVER, list(session.scalars(WAITING, {"endpoint_id": endpoint_id, "limit": 1})))


def give_back(session: Connection, claims: Sequence[Claim]) -> list[int]:
    """Undo claims without a POST and send a message for each; returns the deliveries that are free again."""
    ids = [claim.id for claim in claims]
    session.execute(LOCK, {"ids": ids})
    attempts = [claim.attempt for claim in claims]
    free = list(session.scalars(GIVE_BACK, {"ids": ids, "attempts": attempts, "rescue_after": RESCUE_AFTER}))
    enqueue_many(WEBHOOKS_DELIVER, free)
    return free
