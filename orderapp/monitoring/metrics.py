"""The page of metrics: what the processes of this service have counted, and what PostgreSQL knows."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from flask import current_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from config import VERSION
from orderapp import telemetry
from orderapp.database import reading
from orderapp.exposition import page
from orderapp.monitoring import truths
from orderapp.monitoring.truths import QUANTILES, Truths

log = structlog.get_logger(__name__)

# Seconds that one look at the database serves, however often and by however many it is asked for.
FRESH = 5


class TruthCollector(Collector):
    """Turns the latest look at the database into metrics; a database that does not answer is one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Truths | None = None
        self._took = 0.0
        self._until = float("-inf")

    def collect(self) -> Iterator[Metric]:
        """Yield what is true now or was a few seconds ago."""
        with self._lock:  # of two that ask at once, one looks
            if time.monotonic() > self._until:
                self._look()
            seen, took = self._seen, self._took
        yield _family("build", "The version that runs.", "version", {VERSION: 1})
        yield _family("database_up", "1, or 0 when PostgreSQL does not answer.", None, int(seen is not None))
        yield _family("truths_read_seconds", "How long it took to read all of what follows.", None, took)
        if seen is not None:
            yield from families(seen)

    def _look(self) -> None:
        began = time.monotonic()
        try:
            with reading() as session:
                self._seen = truths.look(session)
        except SQLAlchemyError as error:
            self._seen = None
            log.warning("database unreachable, metrics are without it", fault=type(error).__name__)
        self._took = time.monotonic() - began
        self._until = time.monotonic() + FRESH  # also of a failure: whoever asks must not queue up behind the next one


def whole_page() -> tuple[bytes, str]:
    """Return everything, as Prometheus reads it, and its content type."""
    registry = telemetry.registry()
    registry.register(current_app.extensions.setdefault("truths", TruthCollector()))  # one of a process, for its memory
    return page(registry)


def families(seen: Truths) -> Iterator[Metric]:
    """Yield one metric after the other."""
    yield from _outbox(seen)
    yield _family("orders", "Orders under way; overdue: their rescue is late.", "state", seen.orders)
    yield _family("recent_events", "What happened to orders in the last minute.", "type", seen.events)
    yield _quantiles(
        "recent_settle_seconds", "From the POST to the outcome, of orders settled in the last minute.", seen.settled
    )
    runs = {"1": seen.settled.once, "2": seen.settled.twice, "3": seen.settled.more}
    yield _family("recent_settled", "Orders settled in the last minute by the runs they took, of the newest.", "runs", runs)
    attempts = {name: getattr(seen.attempts, name) for name in ("received", "refused", "unreachable", "given_up")}
    yield _family("recent_webhooks", "Webhooks sent in the last minute; given_up: after the last attempt.", "result", attempts)
    yield _quantiles("recent_webhook_seconds", "How long receivers took in the last minute.", seen.attempts)
    yield _family("webhook_deliveries", "Webhooks still to be received.", "state", seen.webhooks)
    yield _family("webhook_endpoints", "Receivers; resting: after failures in a row.", "state", seen.endpoints)
    yield _family("database_connections", "This role's connections to this database.", "state", seen.connections)
    yield _family("database_connections_used", "Everybody's connections to this server.", None, seen.capacity.used)
    yield _family("database_connections_most", "What the server allows.", None, seen.capacity.most)


def _outbox(seen: Truths) -> Iterator[Metric]:
    messages = _described("outbox_messages", "Messages that wait for the relay.", "queue", "state")
    oldest = _described("outbox_oldest_seconds", "How long the oldest message that is due has been so.", "queue")
    for row in seen.outbox:
        for state in ("due", "later", "parked"):
            messages.add_metric((row.queue, state), getattr(row, state))
        oldest.add_metric((row.queue,), row.oldest)
    yield from (messages, oldest)


def _quantiles(name: str, words: str, row: Any) -> Metric:
    """Return the row's quantiles; none where nothing has happened."""
    return _family(name, words, "quantile", dict(zip(map(str, QUANTILES), row.seconds or (), strict=False)))


def _family(name: str, words: str, label: str | None, values: Mapping[str, float] | float) -> Metric:
    family = _described(name, words, *([label] if label else []))
    if isinstance(values, Mapping):
        for key, value in values.items():
            family.add_metric((key,), value)
    else:
        family.add_metric((), values)
    return family


def _described(name: str, words: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"orderapp_{name}", words, labels=labels)
