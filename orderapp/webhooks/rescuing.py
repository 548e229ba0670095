"""Waking deliveries whose message or worker was lost."""

from datetime import timedelta

import structlog
from sqlalchemy import Connection, text

from orderapp import telemetry
from orderapp.database import writing
from orderapp.outbox.messages import enqueue_many
from orderapp.queues import WEBHOOKS_DELIVER

from .gates import MOST_RUNS
from .retries import LAST_ATTEMPT

log = structlog.get_logger(__name__)

# Deliveries in one transaction: it stays in the range of milliseconds, and a claim that meets its locks hardly waits.
BATCH = 200

# The first pause after a rescue; doubled each time, since a message may only be waiting behind many others.
PAUSE = timedelta(seconds=30)

# 30 s doubled seven times is a good hour: even a delivery rescued for days is looked at that often.
MOST_DOUBLINGS = 7

# Beat may run twice, and a rescue may take longer than the pause between two.
ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('webhooks.rescue'))")

# A few of each endpoint's that wait are enough: the run that they begin goes on with the others. None while its breaker is
# open, one when it is time for a probe; a disabled endpoint's are woken to be disabled.
WAITING = text("""
    SELECT d.id FROM webhook_endpoints e CROSS JOIN LATERAL (
        SELECT id FROM webhook_deliveries WHERE endpoint_id = e.id AND waiting ORDER BY due_at, id
        LIMIT CASE WHEN NOT e.active THEN :batch WHEN e.open_until IS NULL THEN :runs
            WHEN e.open_until <= clock_timestamp() THEN 1 ELSE 0 END) d
""")

# One that is locked now is being claimed or recorded: it needs no rescue.
MISSED = text("""
    SELECT id, lease_until IS NOT NULL AND attempt >= :last_attempt AS used_up
    FROM webhook_deliveries
    WHERE state = 'pending' AND NOT waiting AND rescue_at <= clock_timestamp()
      AND (lease_until IS NULL OR lease_until <= clock_timestamp())
    ORDER BY rescue_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")

WAKE = text("""
    UPDATE webhook_deliveries
    SET rescues = rescues + 1, rescue_at = clock_timestamp() + :pause * power(2, least(rescues, :most_doublings))
    WHERE id = ANY(:ids)
""")

GIVE_UP = text("""
    UPDATE webhook_deliveries SET state = 'exhausted', lease_until = NULL, run = NULL, finished_at = clock_timestamp()
    WHERE id = ANY(:ids)
""")


def rescue_deliveries(limit: int = 5 * BATCH) -> int:
    """Write a new outbox row for every delivery that is overdue and not being sent, ``limit`` at most; returns how many.

    One whose worker died during its last attempt is exhausted instead: it may be what kills workers.
    """
    rescued = 0
    while rescued < limit:
        with writing() as session:
            woken = _rescue_batch(session, min(BATCH, limit - rescued))
        rescued += woken
        if woken < BATCH:
            break
    if rescued:
        telemetry.note_rescued("deliveries", rescued)
        log.warning("deliveries rescued", count=rescued)
    _wake_waiting()
    return rescued


def _wake_waiting() -> None:
    with writing() as session:
        if session.scalar(ALONE):
            ids = session.scalars(WAITING, {"batch": BATCH, "runs": MOST_RUNS})
            enqueue_many(WEBHOOKS_DELIVER, list(ids))


def _rescue_batch(session: Connection, limit: int) -> int:
    if not session.scalar(ALONE):
        return 0
    missed = session.execute(MISSED, {"last_attempt": LAST_ATTEMPT, "limit": limit}).all()
    used_up = [row.id for row in missed if row.used_up]
    if used_up:
        session.execute(GIVE_UP, {"ids": used_up})
        log.error("webhook given up, its last attempt never ended", delivery_ids=used_up)
    ids = [row.id for row in missed if not row.used_up]
    if ids:
        session.execute(WAKE, {"ids": ids, "pause": PAUSE, "most_doublings": MOST_DOUBLINGS})
        enqueue_many(WEBHOOKS_DELIVER, ids)
    return len(ids)
