"""Where webhooks go, and what came back from there."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from config import Settings


@dataclass(frozen=True)
class Endpoint:
    """A receiver; ``allowed_hosts`` may be private or plain http."""

    url: str
    secret: str = field(repr=False)
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answer:
    """What came of one POST: a status, or the fault that prevented one."""

    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None

    @property
    def received(self) -> bool:
        """Tell whether the receiver took it: 2xx and nothing else."""
        return self.error is None

    @property
    def columns(self) -> dict[str, Any]:
        """Return the values of its row in webhook_attempts."""
        return dict(vars(self))


def printable(text: str) -> str:
    """Return a stranger's words as one line that a terminal only shows."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def endpoint_of(settings: Settings) -> Endpoint | None:
    """Return the built-in endpoint of the settings, if one is set."""
    if not settings.webhook_url or not settings.webhook_secret:
        return None
    return Endpoint(settings.webhook_url, settings.webhook_secret, settings.webhook_allowed_hosts)
