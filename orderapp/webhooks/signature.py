"""Signing and checking webhooks by the Standard Webhooks rules (https://www.standardwebhooks.com)."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def signed_headers(secrets: Sequence[str], message_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the three headers that let the receiver check who sent this body and when; ``at`` is in UTC.

    With two secrets, during a rotation, there are two signatures: the receiver may know either.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(math.floor(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, at, body.decode()) for secret in secrets),
    }


def fault_of(secret: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """Return why a receiver must not believe this webhook, or None when it may."""
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except WebhookVerificationError as error:
        return str(error)
    except ValueError as error:  # the library lets a malformed header or body through as such
        return f"malformed: {error}"
    return None
