"""The body of a webhook: an event and its order as it was then."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from orderapp.orders.queries import EventSnapshot


def body_of(snapshot: EventSnapshot) -> bytes:
    """Return the JSON body; the same event always gives the same bytes, however often it is sent."""
    return orjson.dumps(
        {
            "id": str(snapshot.id),
            "type": snapshot.type,
            "timestamp": snapshot.occurred_at,
            "data": snapshot.order,
            "sequence": snapshot.sequence,
        },
        default=_plain,
        option=orjson.OPT_PASSTHROUGH_DATETIME,
    )


def _plain(value: Any) -> str:
    """Word what JSON has no type for as the API does: times in UTC whatever the server's zone, money as a string."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError  # orjson names the type
