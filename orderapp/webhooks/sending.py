"""Sending webhooks: claim, POST outside any transaction, record."""

import time
from datetime import UTC, datetime

import structlog

from config import VERSION
from orderapp.database import outlast, reading, writing
from orderapp.orders import queries as orders

from . import claims, outcomes
from .claims import Claim
from .endpoint import Answer, Endpoint
from .outcomes import Outcome
from .payload import body_of
from .signature import signed_headers
from .target import post

log = structlog.get_logger(__name__)

# Seconds after which a run begins no further POST: with 15 s for the POST, 5 s for a lock at its record and the patience
# below it then ends before the task is killed at 30 s.
LAST_START = 6

# Seconds that a record waits for a database that went away during the POST; a restart takes one or two.
PATIENCE = 3


def deliver(delivery_ids: list[int], endpoint: Endpoint | None, last_start: float = LAST_START) -> int:
    """Send those of the deliveries that are due; returns how many the receiver took.

    Afterwards each is succeeded, due again later, exhausted or, without an endpoint, disabled. What there was no time for
    is free and has a message. After a crash a delivery is sent again under the same webhook-id when its lease has lapsed.
    """
    if endpoint is None:
        _disable(delivery_ids)
        return 0
    begin = time.monotonic()
    with writing() as session:
        mine = claims.take(session, delivery_ids)
    received = 0
    for position, claim in enumerate(mine):
        # The first always goes out: a run that only gave back would go round for ever.
        if position and time.monotonic() - begin > last_start:
            _give_back(mine[position:])
            break
        received += _send(claim, endpoint)
    return received


def _disable(delivery_ids: list[int]) -> None:
    with writing() as session:
        disabled = claims.disable(session, delivery_ids)
    if disabled:
        log.warning("webhook not sent, WEBHOOK_URL is not set", delivery_ids=disabled)


def _give_back(unsent: list[Claim]) -> None:
    with writing() as session:
        free = claims.give_back(session, unsent)
    log.info("no time left for webhooks, others send them", delivery_ids=free)


def _send(claim: Claim, endpoint: Endpoint) -> bool:
    with reading() as session:
        snapshot = orders.event_snapshot(session, claim.event_id)
    body = body_of(snapshot)
    headers = signed_headers(endpoint.secret, str(claim.event_id), body, datetime.now(UTC))
    headers |= {"Content-Type": "application/json", "User-Agent": f"orderapp/{VERSION}", "Accept-Encoding": "identity"}
    answer = post(endpoint, body, headers)
    # A crash here is why the receiver must know the webhook-id: this attempt is lost, the next one says the same again.
    outcome = outlast(lambda: _record(claim, answer), PATIENCE)
    _tell(claim, answer, outcome)
    return outcome == "succeeded"


def _record(claim: Claim, answer: Answer) -> Outcome:
    with writing() as session:
        return outcomes.record(session, claim, answer)


def _tell(claim: Claim, answer: Answer, outcome: Outcome) -> None:
    about = log.bind(delivery_id=claim.id, order_id=claim.order_id, attempt=claim.attempt, error=answer.error)
    if outcome == "succeeded":
        about.info("webhook received")
    elif outcome == "postponed":
        about.warning("webhook not received, tried again later")
    elif outcome == "exhausted":
        about.error("webhook given up, see flask webhooks resend")
    else:
        about.warning("webhook sent after its lease, another run has it now")
