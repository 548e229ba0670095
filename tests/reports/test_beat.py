"""Beat's table: in code, in the documentation, and as Celery has it."""

import re

from flask import Flask

import config
from orderapp.queues import TASKS
from orderapp.schedule import BEAT, beat_schedule


def test_the_documented_table_is_the_code() -> None:
    """docs/operations.md says the same."""
    page = (config.ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- beat -->\n(.*?)\n<!-- /beat -->", page, re.DOTALL)
    rows = [f"| `{entry.task}` | {entry.every} s | {entry.why} |" for entry in BEAT]
    assert table.splitlines() == ["| task | every | why |", "| --- | --- | --- |", *rows]


def test_beat_sends_what_the_table_says(app: Flask) -> None:
    """Each message to its task's queue, without arguments, gone before the next is due."""
    schedule = app.extensions["celery"].conf.beat_schedule
    assert schedule == beat_schedule()
    assert {entry["task"]: entry["schedule"] for entry in schedule.values()} == {entry.task: entry.every for entry in BEAT}
    for entry in schedule.values():
        assert entry["options"] == {"expires": entry["schedule"], "queue": TASKS[entry["task"]].queue}
        assert "args" not in entry
