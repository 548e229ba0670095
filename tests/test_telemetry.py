"""What processes count: by rule and not by address, and never at the cost of whoever counts."""

from contextlib import nullcontext
from typing import Any

import pytest
from celery.exceptions import Reject
from flask.testing import FlaskClient
from prometheus_client.metrics import MetricWrapperBase

from orderapp import telemetry


def count(name: str, **labels: str) -> float:
    """Return a sample of this process; 0 where there is none."""
    return telemetry.REGISTRY.get_sample_value(f"orderapp_{name}", labels) or 0


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/api/orders/17/", ("/api/orders/<order_id>/", "GET", "404")),
        ("GET", "/api/orders/18/", ("/api/orders/<order_id>/", "GET", "404")),
        ("POST", "/api/orders/", ("/api/orders/", "POST", "415")),
        ("GET", "/what/strangers/look/for", ("none", "GET", "404")),
        ("BREW", "/health/live/", ("none", "other", "405")),
    ],
)
def test_a_request_is_counted_under_its_rule(client: FlaskClient, method: str, path: str, labels: tuple[str, ...]) -> None:
    """Ids, strangers' paths and invented methods make no series of their own: each would stay for ever."""
    named = dict(zip(("route", "method", "status"), labels, strict=True))
    before = count("request_seconds_count", **named)
    client.open(path, method=method)
    assert count("request_seconds_count", **named) == before + 1
    assert count("requests_in_progress", server="web") == 0


def test_a_request_that_is_being_answered_is_in_progress(client: FlaskClient) -> None:
    """The page of metrics is one itself."""
    assert 'orderapp_requests_in_progress{server="web"} 1.0' in client.get("/metrics").text


def gone(*_labels: Any) -> None:
    """Be an instrument whose file cannot be made: somebody tidied up /dev/shm."""
    raise FileNotFoundError


@pytest.mark.parametrize("first", [True, False])
def test_what_cannot_be_counted_is_served_all_the_same(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    """Whether the first instrument fails or a later one."""
    if first:
        monkeypatch.setattr(telemetry, "_in_progress", gone)
    monkeypatch.setattr(telemetry, "_requests", {})
    monkeypatch.setattr(telemetry.REQUESTS, "labels", gone)
    assert client.get("/health/live/").status_code == 200


def test_tasks_go_on_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for workers and Beat."""
    for instrument in (telemetry.TASKS, telemetry.RESCUED, telemetry.LAST_TICK, telemetry.BROKER_MESSAGES):
        monkeypatch.setattr(instrument, "labels", gone)
    with telemetry.timing_task("orders.process"):
        telemetry.note_rescued("orders", 1)
        telemetry.note_tick("beat")
        telemetry.note_queue("orders", 1)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(None, "done"), (Reject("bug", requeue=False), "refused"), (Reject("outage", requeue=True), "given_back")],
)
def test_a_task_is_counted_by_its_outcome(error: Exception | None, outcome: str) -> None:
    """A message that goes back to its queue is no failure."""
    before = count("task_seconds_count", task="a.task", outcome=outcome)
    with pytest.raises(Reject) if error else nullcontext(), telemetry.timing_task("a.task"):
        if error:
            raise error
    assert count("task_seconds_count", task="a.task", outcome=outcome) == before + 1


def test_every_instrument_has_a_label() -> None:
    """One without would be exported as 0 by processes that never touch it: a reachable broker as unreachable."""
    instruments = [one for one in vars(telemetry).values() if isinstance(one, MetricWrapperBase)]
    assert len(instruments) == 9
    assert all(one._labelnames for one in instruments)
