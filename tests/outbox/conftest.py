"""Relays and brokers: most tests of relaying run on both brokers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from orderapp.outbox.broker import Publisher, publisher_for
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.relaying import Relay
from orderapp.queues import TASKS, WEBHOOKS_DELIVER
from tests.servers.rabbitmq import RabbitNode

Logged = Callable[[], list[dict[str, Any]]]
ARelay = Callable[..., Relay]


@pytest.fixture(autouse=True)
def one_delivery_per_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let deliveries travel alone here: a window is then as many messages as rows, as the tests of confirms need it."""
    monkeypatch.setitem(TASKS, WEBHOOKS_DELIVER, replace(TASKS[WEBHOOKS_DELIVER], batch=1))


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.rabbitmq), "files"])
def any_broker(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty broker; the test runs once on each kind."""
    return str(request.getfixturevalue("broker")) if request.param == "rabbitmq" else f"filesystem://{tmp_path}/broker"


@pytest.fixture
def a_relay(app: Flask) -> Iterator[ARelay]:
    """Return a maker of relays, for a broker's URL or for a publisher of the test's own."""
    made: list[Relay] = []

    def make(broker: str | Publisher, **options: Any) -> Relay:
        publisher = publisher_for(broker) if isinstance(broker, str) else broker
        made.append(Relay(publisher, Envelopes(app.extensions["celery"]), **options))
        return made[-1]

    yield make
    for relay in made:
        relay.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Return what gives the lines of the outbox's log so far, as the fields they carry, but not the one of each message."""
    ours = "orderapp.outbox."
    return lambda: [
        record.msg
        for record in caplog.records
        if record.name.startswith(ours) and isinstance(record.msg, dict) and record.msg["event"] != "messages published"
    ]


@pytest.fixture
def fragile(node: RabbitNode, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of a virtual host of this test's own on the node that it may break."""
    name = request.node.name
    yield node.create_vhost(name)
    node.delete_vhost(name)
