"""Where webhooks go, and what came back from there."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from config import Settings

# The row of the endpoint that WEBHOOK_URL and WEBHOOK_SECRET set; the migration inserts it.
BUILT_IN = 1


@dataclass(frozen=True)
class Endpoint:
    """A receiver; ``allowed_hosts`` may be private or plain http. Before a rotation is over it has two secrets."""

    url: str
    secret: str = field(repr=False)
    allowed_hosts: frozenset[str] = frozenset()
    previous_secret: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the secrets to sign with, the newest first."""
        return (self.secret,) if self.previous_secret is None else (self.secret, self.previous_secret)


@dataclass(frozen=True)
class Answer:
    """What came of one POST: a status and the beginning of the answer, or the fault that prevented one."""

    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    text: str | None = None
    retry_after: timedelta | None = None

    @property
    def received(self) -> bool:
        """Tell whether the receiver took it: 2xx and nothing else."""
        return self.error is None


def printable(text: str) -> str:
    """Return a stranger's words as one line that a terminal only shows."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def endpoint_of(settings: Settings) -> Endpoint | None:
    """Return the built-in endpoint of the settings, if one is set."""
    if not settings.webhook_url or not settings.webhook_secret:
        return None
    return Endpoint(settings.webhook_url, settings.webhook_secret, settings.webhook_allowed_hosts)


@dataclass(frozen=True)
class Receivers:
    """What the settings say about receivers: the built-in endpoint, if any, and the hosts that may be private."""

    built_in: Endpoint | None = None
    allowed_hosts: frozenset[str] = frozenset()


def receivers_of(settings: Settings) -> Receivers:
    """Return what the settings say about receivers."""
    return Receivers(endpoint_of(settings), settings.webhook_allowed_hosts)
