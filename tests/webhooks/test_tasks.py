"""The tasks' doors: what they refuse, and that they reach their acts."""

from dataclasses import replace
from typing import Any

import pytest
from celery.exceptions import Reject
from flask import Flask

from orderapp.queues import WEBHOOKS_DELIVER, WEBHOOKS_RESCUE
from tests.servers.waiting import wait_until

from . import SECRET
from .conftest import Factory, Sql
from .receivers import RecordingReceiver


def run(app: Flask, name: str, *args: Any) -> None:
    """Run a task's body as the worker does, in this process."""
    app.extensions["celery"].tasks[name](*args)


def test_the_deliver_task_sends_to_the_endpoint_of_the_settings(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """URL, secret and allowed hosts come from the settings at that moment."""
    hook, allowed = f"http://{receiver.address}/hook", frozenset({"127.0.0.1"})
    settings = replace(app.extensions["settings"], webhook_url=hook, webhook_secret=SECRET, webhook_allowed_hosts=allowed)
    monkeypatch.setitem(app.extensions, "settings", settings)
    run(app, WEBHOOKS_DELIVER, [a_delivery()])
    wait_until(lambda: sql("SELECT state FROM webhook_deliveries")[0].state == "succeeded", 10, "the record")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("ids", [None, "1", [], ["1"], [0], [-1], [1.0], [True], [2**63], list(range(1, 22)), {"id": 1}])
def test_the_deliver_task_refuses_what_the_relay_never_sends(app: Flask, ids: Any) -> None:
    """Dead-lettered, not tried again; one message carries twenty deliveries at most."""
    with pytest.raises(Reject) as refused:
        run(app, WEBHOOKS_DELIVER, ids)
    assert refused.value.requeue is False


def test_the_rescue_task_wakes_what_was_lost(app: Flask, a_delivery: Factory, sql: Sql) -> None:
    """A message for each overdue delivery."""
    a_delivery()
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET rescue_at = clock_timestamp()")
    run(app, WEBHOOKS_RESCUE)
    assert len(sql("SELECT 1 FROM outbox")) == 1
