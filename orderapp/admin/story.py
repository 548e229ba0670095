"""What happened to one order, told to people: the timeline that the API gives, and what only operators may know."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from orderapp.admin import formats
from orderapp.orders.timeline import Entry, timeline_of

# What the API keeps to itself: what our network said about a receiver.
_ERRORS = text("""
SELECT a.delivery_id, a.attempt, a.error
FROM webhook_deliveries d CROSS JOIN LATERAL (SELECT * FROM webhook_attempts WHERE delivery_id = d.id OFFSET 0) AS a
WHERE d.order_id = :order_id AND a.error IS NOT NULL
""")

# A delivery ends with its last attempt; one that was disabled, or given up for want of an endpoint, ends by itself.
_ENDED = text("""
SELECT finished_at AS at, 'webhook.' || state AS kind, jsonb_build_object('delivery_id', id, 'attempts', attempt) AS details
FROM webhook_deliveries WHERE order_id = :order_id AND state IN ('exhausted', 'disabled') AND finished_at IS NOT NULL
ORDER BY id
""")

_BY_HAND = text("""
SELECT at, 'hand.' || action AS kind, jsonb_build_object('actor', actor, 'reason', reason) AS details
FROM audit_log WHERE subject = 'order' AND subject_id = :order_id ORDER BY id
""")

_MESSAGES = text("""
SELECT id, task, available_at, parked_at, error FROM outbox
WHERE subject_id = :order_id AND task = 'orders.process' ORDER BY id LIMIT 10
""")

# Of each kind of step, its words; what is not here shows as the timeline names it.
_TITLES = {
    "order.placed": "Placed",
    "order.claimed": "Claimed by a worker",
    "order.confirmed": "Confirmed",
    "order.failed": "Failed",
    "order.cancelled": "Cancelled",
    "order.reopened": "Sent through again",
    "stock.sale": "Taken from stock",
    "stock.return": "Given back to stock",
    "webhook.attempt": "Webhook sent",
    "webhook.exhausted": "Webhook given up",
    "webhook.disabled": "Webhook stopped: its endpoint is off",
}


@dataclass(frozen=True)
class Step:
    """One step: when, how long after the one before, what, the rest in words, and the Celery task that did it."""

    at: datetime
    after: str
    title: str
    words: str
    task_id: str | None = None


def story_of(session: Connection, order_id: int, names: Mapping[int, str], *, by_hand: bool) -> list[Step]:
    """Return all that is known of an order, oldest first; what people did by hand only for those who may read that."""
    entries = [*timeline_of(session, order_id), *_entries(session, _ENDED, order_id)]
    if by_hand:
        entries += _entries(session, _BY_HAND, order_id)
    faults = {(row.delivery_id, row.attempt): row.error for row in session.execute(_ERRORS, {"order_id": order_id})}
    return list(_steps(sorted(entries, key=lambda entry: entry.at), names, faults))


def messages_about(session: Connection, order_id: int) -> Sequence[Row[Any]]:
    """Return the messages about this order that wait in the outbox, or are parked there."""
    return session.execute(_MESSAGES, {"order_id": order_id}).all()


def reason_in_words(reason: Mapping[str, Any] | None, names: Mapping[int, str]) -> str:
    """Return why an order failed: "not enough stock: Lamp (11 ordered, 10 there)"."""
    if not reason:
        return ""
    code = str(reason.get("code", "unknown"))
    short = [
        f"{_name(one['product_id'], names)} ({one['requested']} ordered, {one['available']} there)"
        for one in reason.get("shortages", ())
    ]
    cause = formats.CAUSES.get(code, code)
    return f"{cause}: {', '.join(short)}" if short else cause


def _entries(session: Connection, statement: Any, order_id: int) -> list[Entry]:
    return [Entry(*row) for row in session.execute(statement, {"order_id": order_id})]


def _steps(entries: Sequence[Entry], names: Mapping[int, str], faults: Mapping[tuple[int, int], str]) -> Iterator[Step]:
    before: datetime | None = None
    for entry in entries:
        after = f"+{formats.seconds((entry.at - before).total_seconds())}" if before else ""
        action = entry.kind.removeprefix("hand.")
        title = _TITLES.get(entry.kind, f"By hand: {action}" if action != entry.kind else entry.kind)
        yield Step(entry.at, after, title, _words(entry, names, faults), entry.details.get("task_id"))
        before = entry.at


def _words(entry: Entry, names: Mapping[int, str], faults: Mapping[tuple[int, int], str]) -> str:
    told = entry.details
    if entry.kind.startswith("stock."):
        return f"{abs(told['delta'])} of {_name(told['product_id'], names)}"
    if entry.kind == "webhook.attempt":
        came = faults.get((told["delivery_id"], told["attempt"])) or f"answered {told['status_code']}"
        return f"{came} after {told['duration_ms']} ms (delivery {told['delivery_id']}, attempt {told['attempt']})"
    if entry.kind.startswith("webhook."):
        return f"delivery {told['delivery_id']}, after {told['attempts']} attempts"
    if entry.kind.startswith("hand."):
        return f"by {told['actor']}: {told['reason'] or 'no reason given'}"
    if entry.kind == "order.claimed":
        until = f", until {told['lease_until'][:19].replace('T', ' ')}" if told["lease_until"] else ""
        return f"attempt {told['attempts']}{until}"
    return reason_in_words(told.get("failure_reason"), names) or told.get("total_amount") or ""


def _name(product_id: int, names: Mapping[int, str]) -> str:
    return names.get(product_id, f"product {product_id}")
