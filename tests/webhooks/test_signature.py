"""Signing and checking by Standard Webhooks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from orderapp.webhooks.signature import fault_of, signed_headers

from . import SECRET

OTHER = "whsec_" + "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcg=="
BODY = '{"id": "evt_1", "data": {"product": "Müsli ☕"}}'.encode()


def headers(at: datetime | None = None, secret: str = SECRET) -> dict[str, str]:
    """Headers as they are sent now."""
    return signed_headers([secret], "evt_1", BODY, at or datetime.now(UTC))


def test_a_receiver_verifies_with_the_public_library() -> None:
    """What we sign is what any Standard Webhooks library accepts, whatever letters the body holds."""
    assert Webhook(SECRET).verify(BODY, headers())["id"] == "evt_1"


def test_the_headers_carry_id_and_time() -> None:
    """The id is the event's, the time whole seconds since 1970."""
    signed = headers(datetime(2026, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC))
    assert signed["webhook-id"] == "evt_1"
    assert signed["webhook-timestamp"] == "1767225600"
    assert signed["webhook-signature"].startswith("v1,")


def test_a_true_webhook_has_no_fault() -> None:
    """The receiver accepts its own sender, in whatever case the headers come."""
    assert fault_of(SECRET, {name.title(): value for name, value in headers().items()}, BODY) is None


@pytest.mark.parametrize(
    ("make", "body", "fault"),
    [
        # Made when the test runs: five minutes after the collection they would be too old.
        (lambda: headers(secret=OTHER), BODY, "No matching signature found"),
        (headers, BODY + b" ", "No matching signature found"),
        (dict, BODY, "Missing required headers"),
        (lambda: {**headers(), "webhook-timestamp": "noon"}, BODY, "Invalid Signature Headers"),
        (lambda: {**headers(), "webhook-signature": "nonsense"}, BODY, "malformed"),
        (lambda: {**headers(), "webhook-signature": "v1,é"}, BODY, "malformed"),
        (headers, b"\xff", "malformed"),
    ],
    ids=["other secret", "changed body", "no headers", "bad time", "no version", "not base64", "not text"],
)
def test_a_forged_or_broken_webhook_is_refused_with_its_reason(
    make: Callable[[], dict[str, str]], body: bytes, fault: str
) -> None:
    """Nothing a stranger sends makes the check crash."""
    assert fault in str(fault_of(SECRET, make(), body))


@pytest.mark.parametrize(("shift", "fault"), [(-10, "too old"), (10, "too new")])
def test_an_old_or_future_webhook_is_refused(shift: int, fault: str) -> None:
    """A recorded webhook cannot be played back for ever."""
    given = headers(datetime.now(UTC) + timedelta(minutes=shift))
    assert fault in str(fault_of(SECRET, given, BODY))
