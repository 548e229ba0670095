"""The body of a webhook."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from orderapp.orders.queries import EventSnapshot, ItemView, OrderView
from orderapp.webhooks.payload import body_of

BERLIN = timezone(timedelta(hours=2))
NOON = datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=UTC)

ORDER = OrderView(
    id=1,
    status="confirmed",
    total_amount=Decimal("110500.00"),
    currency="USD",
    reference="Müller ☕",
    webhook_sent=False,
    items=(ItemView(1, "Laptop", 1, 2, Decimal("55000.00")),),
    failure_reason=None,
    created_at=NOON,
)
SNAPSHOT = EventSnapshot(UUID(int=7), "order.confirmed", 2, NOON, ORDER)


def test_it_has_the_five_fields_of_the_contract() -> None:
    """Money as decimal strings, times in UTC, the order under data."""
    assert orjson.loads(body_of(SNAPSHOT)) == {
        "id": "00000000-0000-0000-0000-000000000007",
        "type": "order.confirmed",
        "timestamp": "2026-07-01T12:00:00.000005Z",
        "data": {
            "id": 1,
            "status": "confirmed",
            "total_amount": "110500.00",
            "currency": "USD",
            "reference": "Müller ☕",
            "webhook_sent": False,
            "items": [{"id": 1, "product": "Laptop", "product_id": 1, "quantity": 2, "unit_price": "55000.00"}],
            "failure_reason": None,
            "created_at": "2026-07-01T12:00:00.000005Z",
        },
        "sequence": 2,
    }


def test_a_server_in_another_time_zone_sends_the_same_bytes() -> None:
    """PostgreSQL answers in its session's zone; the receiver must not see it change."""
    there = NOON.astimezone(BERLIN)
    assert body_of(replace(SNAPSHOT, occurred_at=there, order=replace(ORDER, created_at=there))) == body_of(SNAPSHOT)


def test_something_without_words_is_refused() -> None:
    """A field of a new type must be given words here first, or receivers would get Python's."""
    with pytest.raises(TypeError, match="not JSON serializable: set"):
        body_of(replace(SNAPSHOT, order=replace(ORDER, failure_reason={"code": {1}})))
