"""Sending webhooks: claim, POST outside any transaction, record."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from config import VERSION
from orderapp import traces
from orderapp.database import outlast, reading, writing

from . import claims, gates, outcomes, payload
from .claims import Claim, Run
from .endpoint import Answer, Endpoint, Receivers
from .outcomes import Outcome, Result
from .signature import signed_headers
from .target import post

log = structlog.get_logger(__name__)

# Seconds after which a run begins no further POST: with 15 s for the POST, 5 s for a lock at its record and the patience
# below it then ends well before its lease of 45 s.
LAST_START = 6

# Seconds that reading what to say, and a record, wait for a database that went away; a restart takes one or two.
PATIENCE = 3

# Seconds that an answer waits to be recorded together with the next ones: a fast receiver's batch is one transaction, a
# slow one's answers show at once, and a kill in between makes few of them come again.
TOGETHER = 0.1

# Deliveries that a run goes on with at most, of a receiver that takes them in a second: one claim for all of them. Of a
# slower one it takes fewer, for what it has no time for others can send.
MOST_AT_ONCE = 100

Sending = Callable[[], int]


def call_now(sending: Sending) -> int:
    """Send here and now."""
    return sending()


def deliver(
    delivery_ids: Sequence[int],
    receivers: Receivers,
    start: Callable[[Sending], int] = call_now,
    last_start: float = LAST_START,
) -> int:
    """Send those of the deliveries that are due; returns how many were received, as far as ``start`` knows.

    Afterwards each is succeeded, due again later, exhausted, waiting for its endpoint or, without one, disabled. What
    there was no time for is free and has a message. ``start`` gets what sends to one endpoint each, to call it when and
    where it likes. After a crash a delivery is sent again under the same webhook-id when its lease has lapsed.
    """
    with writing() as session:
        taken = claims.take(session, delivery_ids, receivers)
    if taken.disabled:
        log.warning("webhook not sent, its endpoint is disabled or not set", delivery_ids=taken.disabled)
    return sum([start(partial(send_run, run, receivers, last_start)) for run in taken.runs])


def send_run(run: Run, receivers: Receivers, last_start: float = LAST_START) -> int:
    """Send what a run has claimed, and then what waits for the same endpoint, as long as there is time."""
    begin = time.monotonic()
    received = 0
    following: Run | None = run
    while following is not None:
        run, following = following, None
        began = time.monotonic()
        early, results = _send_claims(run, begin + last_start)
        received += early
        now = time.monotonic()
        most = how_many_next(len(run.claims), now - began)
        has_time = now <= begin + last_start
        go_on = partial(_go_on, run, receivers, most) if has_time else partial(_hand_over, run)
        recorded, following = _record(run, results, go_on)
        received += recorded
        # What comes now waited for this endpoint; it was not this request that asked for it.
        structlog.contextvars.unbind_contextvars("request_id")
        traces.leave()
    return received


def how_many_next(sent: int, seconds: float) -> int:
    """Return how many a run goes on with, after it sent so many in so many seconds: what takes another second."""
    return min(MOST_AT_ONCE, max(gates.BATCH, round(sent / max(seconds, 1 / MOST_AT_ONCE))))


def _send_claims(run: Run, last_start: float) -> tuple[int, list[Result]]:
    """Send one after the other; returns how many were received and recorded, and what is not recorded yet."""
    bodies = _bodies(run.claims)
    received, failures, results = 0, 0, list[Result]()
    collected = time.monotonic()
    for position, claim in enumerate(run.claims):
        # The first always goes out: a run that only gave back would go round for ever.
        if position and (time.monotonic() > last_start or failures >= gates.MOST_FAILURES):
            # The record first: it opens the breaker, and what is free again then waits behind it.
            received += _record(run, results)[0]
            _give_back(run.claims[position:])
            return received, []
        if results and time.monotonic() > collected + TOGETHER:
            received += _record(run, results)[0]
            results, collected = [], time.monotonic()
        results.append(Result(claim, _send(claim, run.endpoint, bodies[claim.webhook_id])))
        failures = 0 if results[-1].answer.received else failures + 1
    return received, results


def _bodies(mine: Sequence[Claim]) -> Mapping[str, bytes]:
    """Read what each claim says, outlasting a short outage; after a longer one nothing was sent and no attempt is used."""
    try:
        return outlast(lambda: _read_bodies(mine), PATIENCE)
    except SQLAlchemyError:
        with suppress(SQLAlchemyError):  # not even that: then the lease lapses
            outlast(lambda: _give_back(mine), PATIENCE)
        raise


def _read_bodies(mine: Sequence[Claim]) -> Mapping[str, bytes]:
    with reading() as session:
        return payload.bodies_of(session, mine)


def _give_back(unsent: Sequence[Claim]) -> None:
    with writing() as session:
        free = claims.give_back(session, unsent)
    log.info("webhooks not sent: no time left, all fail or the database is away; others send them", delivery_ids=free)


def _send(claim: Claim, endpoint: Endpoint, body: bytes) -> Answer:
    headers = signed_headers(endpoint.secrets, claim.webhook_id, body, datetime.now(UTC))
    headers |= {"Content-Type": "application/json", "User-Agent": f"orderapp/{VERSION}", "Accept-Encoding": "identity"}
    with traces.span("send webhook", "client", delivery_id=claim.id, order_id=claim.order_id, attempt=claim.attempt):
        answer = post(endpoint, body, headers)
        # Not the answer's words: they are a stranger's, and this one goes to the collector.
        fault = None if answer.received else "not received"
        traces.note(fault, **{"http.response.status_code": answer.status_code})
    return answer


def _record(
    run: Run, results: Sequence[Result], then: Callable[[Connection], Run | None] = lambda _session: None
) -> tuple[int, Run | None]:
    """Write down what came of the POSTs, and in the same transaction what comes ``then``; returns how many were received.

    A crash before it is why the receiver must know the webhook-id: these attempts are lost, the next ones say the same.
    """
    told, following = outlast(lambda: _record_once(run, results, then), PATIENCE)
    succeeded = [result.claim for result, outcome in zip(results, told, strict=True) if outcome == "succeeded"]
    if succeeded:
        about = {"delivery_ids": [claim.id for claim in succeeded], "order_ids": [claim.order_id for claim in succeeded]}
        log.info("webhooks received", **about)
    for result, outcome in zip(results, told, strict=True):
        if outcome != "succeeded":
            _tell(result, outcome)
    return len(succeeded), following


def _record_once(
    run: Run, results: Sequence[Result], then: Callable[[Connection], Run | None]
) -> tuple[list[Outcome], Run | None]:
    with writing() as session:
        return outcomes.record(session, run.endpoint_id, results), then(session)


def _go_on(run: Run, receivers: Receivers, most: int, session: Connection) -> Run | None:
    return claims.take_waiting(session, run, receivers, most)


def _hand_over(run: Run, session: Connection) -> None:
    claims.wake_one(session, run.endpoint_id)


def _tell(result: Result, outcome: Outcome) -> None:
    claim, error = result.claim, result.answer.error
    about = log.bind(delivery_id=claim.id, order_id=claim.order_id, attempt=claim.attempt, error=error)
    if outcome == "postponed":
        about.warning("webhook not received, tried again later")
    elif outcome == "exhausted":
        about.error("webhook given up, see flask webhooks resend")
    elif outcome == "disabled":
        about.error("webhook refused for good, its endpoint is disabled")
    else:
        about.warning("webhook sent after its lease, another run has it now")
