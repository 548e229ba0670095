"""Sending again, on an operator's or owner's word: what was given up, or what was received and is wanted once more."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, text

from orderapp import audit
from orderapp.database import reading, writing
from orderapp.errors import ConflictError, NotFoundError
from orderapp.outbox.messages import enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from .claims import RESCUE_AFTER
from .endpoint import BUILT_IN
from .queries import AGAIN, USUAL_RATE, Wanted, count_again

# Deliveries in one transaction: short, so that nobody waits for its locks.
BATCH = 200

STATES = text("""
    SELECT id, state, endpoint_id FROM webhook_deliveries
    WHERE id = ANY(:ids) AND (CAST(:endpoint_id AS bigint) IS NULL OR endpoint_id = :endpoint_id)
    ORDER BY id FOR NO KEY UPDATE
""")

ENDPOINT = text("SELECT active FROM webhook_endpoints WHERE id = :id")

# The count of attempts goes on: each POST keeps its own row in webhook_attempts.
REOPEN = text("""
    UPDATE webhook_deliveries
    SET state = 'pending', lease_until = NULL, finished_at = NULL, rescues = 0,
        due_at = clock_timestamp() + :delay, rescue_at = clock_timestamp() + :delay + :rescue_after
    WHERE id = ANY(:ids) RETURNING id, due_at
""")

# Beside the one that succeeded: that it was received once stays true, whatever becomes of the repetition.
REPEAT = text("""
    INSERT INTO webhook_deliveries (order_id, event_id, ping_id, endpoint_id, resend_of, due_at, rescue_at)
    SELECT order_id, event_id, ping_id, endpoint_id, coalesce(resend_of, id), clock_timestamp() + :delay,
        clock_timestamp() + :delay + :rescue_after
    FROM webhook_deliveries WHERE id = ANY(:ids) ORDER BY id RETURNING id, due_at
""")

# A word of the operator is a probe: the receiver was mended.
TRY_NOW = text("""
    UPDATE webhook_endpoints SET open_until = clock_timestamp() WHERE id = :id AND open_until > clock_timestamp()
""")

SOME = text(f"SELECT d.id {AGAIN} AND d.id > :after ORDER BY d.id LIMIT :limit")


def resend(
    delivery_id: int,
    actor: str = "system",
    reason: str | None = None,
    *,
    endpoint_id: int | None = None,
    enabled: bool = True,
) -> int:
    """Send a delivery again, now, with a line in the audit log; returns what is sent: of a succeeded one it is a new delivery.

    Past its last attempt a delivery gets one more. ``endpoint_id`` limits it to one endpoint; ``enabled`` tells whether the
    built-in one is set. Raises NotFoundError, or ConflictError when it is pending (it is sent anyway) or nobody listens.
    """
    with writing() as session:
        row = session.execute(STATES, {"ids": [delivery_id], "endpoint_id": endpoint_id}).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no delivery {delivery_id}")
        if row.state == "pending":
            raise ConflictError(f"delivery {delivery_id} is pending; it is sent anyway")
        _refuse_unheard(session, row, enabled=enabled)
        (sent,) = _send_again(session, [row], timedelta())
        session.execute(TRY_NOW, {"id": row.endpoint_id})
        before, after = {"state": row.state}, {"state": "pending", "delivery": sent}
        audit.record(session, audit.Change(actor, "resend", "delivery", delivery_id, before, after, reason))
    return sent


def resend_fitting(
    wanted: Wanted, actor: str, *, enabled: bool, per_second: int = USUAL_RATE, at_most: int | None = None
) -> int:
    """Send the finished deliveries that fit again, so many each second from now on; returns how many.

    In batches, each a transaction with its own line in the audit log: after a crash the rest is not sent, and the log
    tells what was. Raises ConflictError when more than ``at_most`` fit, before anything is sent.
    """
    if at_most is not None:
        _refuse_too_many(wanted, at_most, enabled=enabled)
    told = {name: value for name, value in vars(wanted).items() if value is not None}
    sent, after = 0, 0
    while True:
        with writing() as session:
            values = {**vars(wanted), "enabled": enabled, "after": after, "limit": BATCH}
            ids = list(session.scalars(SOME, values))
            before, by_second = sent, defaultdict[int, list[Row[Any]]](list)
            for row in session.execute(STATES, {"ids": ids, "endpoint_id": None}):
                if row.state != "pending":
                    by_second[sent // per_second].append(row)
                    sent += 1
            for second, rows in by_second.items():
                _send_again(session, rows, timedelta(seconds=second))
            if by_second:
                audit.record(session, audit.Change(actor, "resend", "deliveries", None, told, {"sent": sent - before}))
        if len(ids) < BATCH:
            return sent
        after = ids[-1]


def _refuse_too_many(wanted: Wanted, at_most: int, *, enabled: bool) -> None:
    with reading() as session:
        if count_again(session, wanted, enabled=enabled, limit=at_most + 1) > at_most:
            raise ConflictError(f"more than {at_most:,} deliveries fit; narrow since and until")


def _refuse_unheard(session: Connection, row: Row[Any], *, enabled: bool) -> None:
    if row.endpoint_id == BUILT_IN and not enabled:
        raise ConflictError("WEBHOOK_URL is not set: there is nowhere to send it")
    if not session.execute(ENDPOINT, {"id": row.endpoint_id}).scalar_one():
        raise ConflictError(f"endpoint {row.endpoint_id} is disabled; enable it first")


def _send_again(session: Connection, rows: Sequence[Row[Any]], delay: timedelta) -> list[int]:
    sent: list[Row[Any]] = []
    for statement, received in ((REOPEN, False), (REPEAT, True)):
        ids = [row.id for row in rows if (row.state == "succeeded") is received]
        if ids:
            sent += session.execute(statement, {"ids": ids, "delay": delay, "rescue_after": RESCUE_AFTER}).all()
    # Not before the last is due: a message that comes early finds nothing to take.
    enqueue_many(WEBHOOKS_DELIVER, [row.id for row in sent], available_at=max(row.due_at for row in sent) if delay else None)
    return [row.id for row in sent]
