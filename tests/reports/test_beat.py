"""Beat's table: in code, in the documentation, and as Celery has it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from celery.beat import SchedulingError
from flask import Flask

import config
from orderapp import telemetry
from orderapp.queues import TASKS
from orderapp.schedule import APART, BEAT, Scheduler, beat_schedule
from tests.journeys.messages import Messages


def test_the_documented_table_is_the_code() -> None:
    """docs/operations.md says the same."""
    page = (config.ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- beat -->\n(.*?)\n<!-- /beat -->", page, re.DOTALL)
    rows = [f"| `{entry.task}` | {entry.every} s | {entry.why} |" for entry in BEAT]
    assert table.splitlines() == ["| task | every | why |", "| --- | --- | --- |", *rows]


def test_beat_sends_what_the_table_says(app: Flask) -> None:
    """Each message to its task's queue, without arguments, gone when the next is due, or in a minute where that is sooner."""
    schedule = app.extensions["celery"].conf.beat_schedule
    assert schedule == beat_schedule()
    assert {entry["task"]: entry["schedule"] for entry in schedule.values()} == {entry.task: entry.every for entry in BEAT}
    for entry in schedule.values():
        assert entry["options"] == {"expires": max(entry["schedule"], 60), "queue": TASKS[entry["task"]].queue}
        assert "args" not in entry


@pytest.mark.rabbitmq
def test_a_tick_that_waits_too_long_is_left_to_the_worker(app: Flask, broker: str) -> None:
    """RabbitMQ would put it among the dead letters, and an alert would call somebody for nothing."""
    celery = app.extensions["celery"]
    scheduler = Scheduler(app=celery, lazy=True)
    name = BEAT[0].task
    scheduler.apply_async(scheduler.Entry(app=celery, name=name, **beat_schedule()[name]), advance=False)

    (message,) = Messages(broker).take("maintenance")
    assert "expiration" not in message.properties
    in_time = datetime.fromisoformat(message.properties["application_headers"]["expires"])
    assert timedelta() < in_time - datetime.now(UTC) <= timedelta(seconds=max(APART, BEAT[0].every))


@pytest.mark.rabbitmq
@pytest.mark.usefixtures("broker")
def test_a_beat_that_cannot_send_does_not_tick(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery logs what it could not send and goes on: while the broker was away Beat ticked as ever, and no alert called."""
    ticks: list[str] = []
    monkeypatch.setattr(telemetry, "note_tick", ticks.append)
    celery = app.extensions["celery"]
    scheduler = Scheduler(app=celery, lazy=True)
    entry = scheduler.Entry(app=celery, name=BEAT[0].task, **beat_schedule()[BEAT[0].task])
    unsendable = scheduler.Entry(app=celery, name=entry.name, task=entry.task, schedule=entry.schedule, args=(object(),))

    for sent, told in ((entry, 1), (unsendable, 1), (entry, 2)):
        try:
            scheduler.apply_async(sent, advance=False)
        except SchedulingError:
            assert sent is unsendable
        scheduler.tick()
        assert len(ticks) == told
