"""What must be true when everything has come to rest, whatever happened before."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy.exc import SQLAlchemyError

from orderapp.database import is_outage
from orderapp.failpoints import FailpointError
from orderapp.monitoring.auditing import Scope, audit
from tests.simulation.clock import BEGIN
from tests.simulation.outside import Outside
from tests.simulation.people import People
from tests.simulation.stage import URL, Stage

# Interruptions that an order survives at least: it fails at the claim after its third.
FEWEST = 3

# What a reader of the feed is told while there is more.
SOME_EVENTS = tuple(f"200: {digit}" for digit in range(1, 10))

_ORDERS = "SELECT id, reference, status, failure_reason ->> 'code' FROM orders"
_LINES = "SELECT order_id, product_id, quantity FROM order_items"
_EVENTS = """
SELECT id::text, order_id, sequence, type IN ('order.confirmed', 'order.failed', 'order.cancelled') FROM order_events
ORDER BY position
"""
_DELIVERIES = """
SELECT event_id::text, coalesce(e.url, %s), state FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = endpoint_id
"""
_PARKED = "SELECT task, error FROM outbox WHERE parked_at IS NOT NULL"
_WRONG_DAYS = """
SELECT coalesce(written.day, truth.day) FROM daily_sales AS written FULL JOIN (
    SELECT date(settled_at AT TIME ZONE 'UTC') AS day,
        count(*) FILTER (WHERE total_amount IS NOT NULL) AS orders, count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'cancelled' AND total_amount IS NOT NULL) AS cancelled,
        coalesce(sum(total_amount) FILTER (WHERE status = 'confirmed'), 0) AS revenue
    FROM orders GROUP BY 1) AS truth ON written.day = truth.day
WHERE written.day IS NULL
    OR (written.orders, written.failed, written.cancelled) <> (coalesce(truth.orders, 0), coalesce(truth.failed, 0),
        coalesce(truth.cancelled, 0))
    OR written.revenue <> coalesce(truth.revenue, 0)
"""


def faults(stage: Stage, outside: Outside, people: People) -> list[str]:
    """Return everything that is wrong, in sentences."""
    while people.read_feed().startswith(SOME_EVENTS):
        pass
    return [
        *outside.faults,
        *surprises(stage),
        *(f"{what} ({subject})" for what, subject in stage.rows("SELECT what, subject FROM simulated.seen")),
        *_audit(stage),
        *_orders(stage, outside),
        *_webhooks(stage, outside),
        *(f"parked: {task}: {error}" for task, error in stage.rows(_PARKED)),
        *(f"the summary of {day} is wrong" for (day,) in stage.rows(_WRONG_DAYS)),
    ]


def surprises(stage: Stage) -> Iterator[str]:
    """Tell what the processes met and nobody had brought about."""
    yield from sorted(stage.lock_order.broken)
    for said, fault in stage.records.errors:
        if fault is not None and not _is_ours(fault):
            yield f"logged: {said}: {type(fault).__name__}: {str(fault).partition(chr(10))[0]}"
        elif said == "message refused":
            yield "logged: a message of our own relay was refused"


def _is_ours(fault: BaseException) -> bool:
    is_reset = isinstance(fault, ConnectionResetError) and str(fault) == "by a failpoint"
    return is_reset or isinstance(fault, FailpointError) or (isinstance(fault, SQLAlchemyError) and is_outage(fault))


def _audit(stage: Stage) -> list[str]:
    with stage.app.app_context():
        report = audit(Scope(everything=True, webhooks=True, webhooks_since=BEGIN))
    return [f"audit: {one.name} {one.ids}" for one in report.violations]


def _orders(stage: Stage, outside: Outside) -> Iterator[str]:
    stored: dict[str, list[int]] = defaultdict(list)
    final = {"confirmed", "failed", "cancelled"}
    for order_id, reference, status, code in stage.rows(_ORDERS):
        stored[reference].append(order_id)
        if status not in final:
            yield f"order {order_id} is {status}"
        if code == "processing_error" and outside.injected < FEWEST:
            yield f"order {order_id} failed for its interruptions; there were {outside.injected}"
        if order_id in outside.cancelled and status != "cancelled":
            yield f"order {order_id} is {status} although its cancel was acknowledged"
    lines: dict[int, dict[int, int]] = defaultdict(dict)
    for order_id, product_id, quantity in stage.rows(_LINES):
        lines[order_id][product_id] = quantity
    for asked in outside.asked:
        ids = stored.pop(asked.reference, [])
        if len(ids) > 1 or (asked.order_id is not None and ids != [asked.order_id]):
            yield f"{asked.reference} was answered with {asked.order_id} and is stored as {ids}"
        if any(lines[order_id] != asked.items for order_id in ids):
            yield f"{asked.reference} is stored with other lines"
    if stored:
        yield f"nobody asked for {dict(stored)}"


def _webhooks(stage: Stage, outside: Outside) -> Iterator[str]:
    events = {row[0]: row[1:] for row in stage.rows(_EVENTS)}
    taken = {(told.url, told.id) for told in outside.told if told.taken}
    for event_id, url, state in stage.rows(_DELIVERIES, URL):
        if state in {"disabled", "exhausted"} and url != URL:  # an operator had switched that endpoint off
            continue
        if state != "succeeded":
            yield f"a delivery of {event_id} is {state}"
        elif (url, event_id) not in taken:
            yield f"{event_id} counts as received, and {url} never took it"
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for told in outside.told:
        bodies[told.id].add(told.body)
        if not told.valid:
            yield f"{told.id} was signed wrongly"
    for webhook_id, told_bodies in bodies.items():
        if len(told_bodies) > 1:
            yield f"{webhook_id} was told in {len(told_bodies)} ways"
        yield from _unfounded(webhook_id, orjson.loads(min(told_bodies)), events)
    if outside.feed != list(events):
        yield f"a reader of the feed saw {len(outside.feed)} events of {len(events)}, or in another order"


def _unfounded(webhook_id: str, body: Any, events: dict[str, tuple[Any, ...]]) -> Iterator[str]:
    if events.get(webhook_id) != (body["data"]["id"], body["sequence"], True):
        yield f"{webhook_id} tells what did not happen"
