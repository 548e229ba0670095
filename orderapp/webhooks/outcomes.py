"""What attempts came to, written where the next one, the order and the endpoint look."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Literal

import structlog
from sqlalchemy import Connection, text

from orderapp import audit
from orderapp.orders import states
from orderapp.outbox.messages import enqueue
from orderapp.queues import WEBHOOKS_DELIVER

from . import gates, queries
from .claims import LOCK, RESCUE_AFTER, Claim
from .endpoint import Answer
from .retries import delay_after

log = structlog.get_logger(__name__)

State = Literal["succeeded", "pending", "exhausted", "disabled"]
Outcome = Literal["succeeded", "postponed", "exhausted", "disabled", "outrun"]

# Before the deliveries: of two last deliveries that end at once, the second must see the first.
LOCK_ORDERS = text("SELECT id FROM orders WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")

# Needs the lease of this attempt: the same record written twice hits once. The ids once more as a list, for the planner.
RECORD = text("""
    UPDATE webhook_deliveries d
    SET state = r.state, lease_until = NULL, run = NULL,
        due_at = CASE WHEN r.state = 'pending' THEN clock_timestamp() + make_interval(secs => r.delay) ELSE d.due_at END,
        rescue_at = CASE WHEN r.state = 'pending'
            THEN clock_timestamp() + make_interval(secs => r.delay) + :rescue_after ELSE d.rescue_at END,
        finished_at = CASE WHEN r.state <> 'pending' THEN clock_timestamp() END
    FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:states AS text[]),
        CAST(:delays AS double precision[])) AS r (id, attempt, state, delay)
    WHERE d.id = r.id AND d.id = ANY(:ids) AND d.attempt = r.attempt AND d.state = 'pending' AND d.lease_until IS NOT NULL
    RETURNING d.id, d.state, d.due_at
""")

INSERT_ATTEMPTS = text("""
    INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code, error, answer)
    SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:attempts AS integer[]), CAST(:started AS timestamptz[]),
        CAST(:durations AS integer[]), CAST(:statuses AS integer[]), CAST(:errors AS text[]), CAST(:answers AS text[]))
""")

GIVE_UP_ENDPOINT = text("""
    UPDATE webhook_endpoints SET active = false, disabled_reason = :reason WHERE id = :id AND active RETURNING id
""")


@dataclass(frozen=True)
class Result:
    """One POST: by which right, and what came back."""

    claim: Claim
    answer: Answer

    @property
    def state(self) -> State:
        """Return what the delivery becomes."""
        if self.answer.received:
            return "succeeded"
        if self.answer.status_code == HTTPStatus.GONE:
            return "disabled"
        return "exhausted" if self.delay is None else "pending"

    @property
    def delay(self) -> timedelta | None:
        """Return how long to wait before the next attempt; None when this was the last."""
        return delay_after(self.claim.attempt, self.answer.retry_after)


def record(session: Connection, endpoint_id: int, results: Sequence[Result]) -> list[Outcome]:
    """Record attempts, except those that another run has taken over; only a hit writes the next outbox row."""
    session.execute(LOCK_ORDERS, {"ids": [result.claim.order_id for result in results if result.claim.order_id]})
    states_now = _move(session, results)
    hits = [result for result in results if result.claim.id in states_now]
    if not hits:
        return ["outrun"] * len(results)
    _keep_attempts(session, hits)
    succeeded = [hit.claim.order_id for hit in hits if hit.answer.received and hit.claim.order_id]
    if succeeded:
        states.set_webhook_sent(session, queries.all_received(session, succeeded))
    _judge(session, endpoint_id, hits)
    return [states_now.get(result.claim.id, "outrun") for result in results]


def _move(session: Connection, results: Sequence[Result]) -> dict[int, Outcome]:
    ids = [result.claim.id for result in results]
    session.execute(LOCK, {"ids": ids})
    values = {
        "ids": ids,
        "attempts": [result.claim.attempt for result in results],
        "states": [result.state for result in results],
        "delays": [(result.delay or timedelta()).total_seconds() for result in results],
        "rescue_after": RESCUE_AFTER,
    }
    moved: dict[int, Outcome] = {}
    for row in session.execute(RECORD, values).all():
        moved[row.id] = "postponed" if row.state == "pending" else row.state
        if row.state == "pending":
            enqueue(WEBHOOKS_DELIVER, row.id, available_at=row.due_at)
    return moved


def _keep_attempts(session: Connection, hits: Sequence[Result]) -> None:
    values = {
        "ids": [hit.claim.id for hit in hits],
        "attempts": [hit.claim.attempt for hit in hits],
        "started": [hit.answer.started_at for hit in hits],
        "durations": [hit.answer.duration_ms for hit in hits],
        "statuses": [hit.answer.status_code for hit in hits],
        "errors": [hit.answer.error for hit in hits],
        "answers": [hit.answer.text for hit in hits],
    }
    session.execute(INSERT_ATTEMPTS, values)


def _judge(session: Connection, endpoint_id: int, hits: Sequence[Result]) -> None:
    """Tell the endpoint's breaker, in the order of the answers: what counts is how many failed since the last success."""
    failures = 0
    for hit in hits:
        failures = 0 if hit.answer.received else failures + 1
    if failures < len(hits) and gates.note_success(session, endpoint_id):
        log.info("endpoint answers again", endpoint_id=endpoint_id)
    if failures:
        verdict = gates.note_failures(session, endpoint_id, failures)
        if verdict.opened:
            log.warning("endpoint rests, its deliveries wait", endpoint_id=endpoint_id)
        if verdict.hopeless:
            _disable(session, endpoint_id, "failing")
    if any(hit.state == "disabled" for hit in hits):
        _disable(session, endpoint_id, "gone")


def _disable(session: Connection, endpoint_id: int, reason: str) -> None:
    if session.scalar(GIVE_UP_ENDPOINT, {"id": endpoint_id, "reason": reason}) is None:
        return
    after = {"active": False, "disabled_reason": reason}
    audit.record(session, audit.Change("system", "disable", "webhook_endpoint", endpoint_id, {"active": True}, after, reason))
    log.error("endpoint disabled, see flask webhooks endpoints", endpoint_id=endpoint_id, reason=reason)
