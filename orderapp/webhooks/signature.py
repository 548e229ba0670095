"""Signing and checking webhooks by the Standard Webhooks rules (https://www.standardwebhooks.com)."""

import math
from collections.abc import Mapping
from datetime import datetime

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def signed_headers(secret: str, message_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the three headers that let the receiver check who sent this body and when; ``at`` is in UTC."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(math.floor(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body.decode()),
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
