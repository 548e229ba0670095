"""The body of a webhook: an event and its order as it was then."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection

from orderapp.orders.queries import EventSnapshot, event_snapshots

from .claims import Claim

# Bytes of a body: 100 lines fit with names of about 80 letters; many receivers refuse what is much larger.
LARGEST_BODY = 20_000

# What a name that was cut ends with.
CUT = "…"

PING = "endpoint.ping"


def bodies_of(session: Connection, claims: Sequence[Claim]) -> Mapping[str, bytes]:
    """Return the body of each claim by its webhook-id."""
    snapshots = event_snapshots(session, [claim.event_id for claim in claims if claim.event_id is not None])
    bodies = {str(event_id): body_of(snapshot) for event_id, snapshot in snapshots.items()}
    return bodies | {claim.webhook_id: _ping(claim) for claim in claims if claim.event_id is None}


def body_of(snapshot: EventSnapshot) -> bytes:
    """Return the JSON body; the same event always gives the same bytes, however often it is sent.

    Where an order of very many lines would exceed the limit, the names of its products are cut; nothing else ever is.
    """
    body = _body(snapshot)
    if len(body) <= LARGEST_BODY:
        return body
    nameless = len(_body(_with_names(snapshot, 0)))
    return _body(_with_names(snapshot, max(0, LARGEST_BODY - nameless) // len(snapshot.order.items)))


def _body(snapshot: EventSnapshot) -> bytes:
    return _json(
        {
            "id": str(snapshot.id),
            "type": snapshot.type,
            "timestamp": snapshot.occurred_at,
            "data": snapshot.order,
            "sequence": snapshot.sequence,
        }
    )


def _ping(claim: Claim) -> bytes:
    return _json({"id": claim.webhook_id, "type": PING, "timestamp": claim.created_at, "data": {}, "sequence": 0})


def _with_names(snapshot: EventSnapshot, room: int) -> EventSnapshot:
    items = tuple(replace(item, product=_cut(item.product, room)) for item in snapshot.order.items)
    return replace(snapshot, order=replace(snapshot.order, items=items))


def _cut(name: str, room: int) -> str:
    """Return the name, cut to so many bytes as JSON writes it."""
    if _size(name) <= room:
        return name
    kept = name[:room]
    while kept and _size(kept + CUT) > room:
        kept = kept[:-1]
    return kept + CUT if kept else ""


def _size(text: str) -> int:
    return len(orjson.dumps(text)) - 2  # without the quotes


def _json(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body, default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _plain(value: Any) -> str:
    """Word what JSON has no type for as the API does: times in UTC whatever the server's zone, money as a string."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError  # orjson names the type
