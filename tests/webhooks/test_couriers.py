"""Threads wait for receivers: one that hangs takes four of them, and neither a task nor another endpoint's webhook."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from orderapp.queues import WEBHOOKS_DELIVER
from orderapp.webhooks import gates, registering
from orderapp.webhooks.drafts import Draft
from tests.servers.waiting import wait_until

from . import SECRET
from .conftest import Factory, Sql
from .receivers import RecordingReceiver, answering, hanging

# Seconds for what takes milliseconds; far below the 15 s that a receiver is given.
SOON = 8


def states(sql: Sql, endpoint_id: int) -> list[tuple[Any, ...]]:
    """Return state, whether it is being sent and whether it waits, of each of the endpoint's deliveries."""
    return [tuple(row) for row in sql(
        "SELECT state, lease_until IS NOT NULL, waiting FROM webhook_deliveries WHERE endpoint_id = :id ORDER BY id",
        id=endpoint_id)]  # fmt: skip


def test_a_receiver_that_hangs_holds_up_nobody(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While four calls hang its other webhooks wait, and a healthy endpoint's arrive; nothing is lost when it is back."""
    hosts = frozenset({"127.0.0.1"})
    settings = replace(
        app.extensions["settings"],
        webhook_url=f"http://{receiver.address}/",
        webhook_secret=SECRET,
        webhook_allowed_hosts=hosts,
    )
    monkeypatch.setitem(app.extensions, "settings", settings)
    receiver.behave = hanging
    deliver = app.extensions["celery"].tasks[WEBHOOKS_DELIVER]
    with RecordingReceiver() as healthy:
        draft = Draft(f"http://{healthy.address}/", ["order.cancelled"])
        other = registering.create_endpoint(draft, None, hosts, "Alice").id
        ids = [a_delivery() for _ in range(gates.MOST_RUNS + 3)]
        sql("UPDATE webhook_deliveries SET endpoint_id = :endpoint WHERE id = :id", endpoint=other, id=ids[-1])
        for delivery_id in ids:
            deliver([delivery_id])
        wait_until(lambda: states(sql, other) == [("succeeded", False, False)], SOON, "the healthy endpoint's webhook")
        wait_until(lambda: len(receiver.requests) == gates.MOST_RUNS, SOON, "the calls that hang")
    sent, waits = ("pending", True, False), ("pending", False, True)
    assert states(sql, gates.BUILT_IN) == [sent] * gates.MOST_RUNS + [waits] * 2
    receiver.behave = answering(200)
    receiver.released.set()
    failed, succeeded = ("pending", False, False), ("succeeded", False, False)
    wait_until(lambda: states(sql, gates.BUILT_IN) == [failed] * gates.MOST_RUNS + [succeeded] * 2, SOON, "the rest")
