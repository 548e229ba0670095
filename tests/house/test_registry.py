"""Style, as tests: one migration head, no queue without a task, no task without a worker."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from .registry import head_breaches, queue_breaches
from .tree import REPOSITORY, assert_found, assert_none

SHOW_TASKS = """
import json, sys
from celery_worker import celery
celery.loader.import_default_modules()
json.dump(sorted(celery.tasks), sys.stdout)
"""

# Never connected to: the names are all that this process is asked for.
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "CELERY_BROKER_URL": "amqp://127.0.0.1:1//",
    "APP_ENV": "development",
}

QUEUES = ("orders", "webhooks")
TASKS = {
    "orders.process": SimpleNamespace(name="orders.process", queue="orders", batch=100, what=""),
    "webhooks.deliver": SimpleNamespace(name="webhooks.deliver", queue="webhooks", batch=1, what=""),
}
REGISTERED = ["celery.ping", "orders.process", "webhooks.deliver"]


def migration(root: Path, revision: str, down: str | None) -> None:
    """Write one migration."""
    folder = root / "migrations/versions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{revision}.py").write_text(f"revision = {revision!r}\ndown_revision = {down!r}\n", encoding="utf-8")


def test_the_migrations_have_one_head() -> None:
    """`flask db upgrade` always knows where to go."""
    assert_none(head_breaches(REPOSITORY))


def test_every_queue_has_a_task_and_every_task_a_worker() -> None:
    """A fresh worker process, started without a broker, knows exactly the tasks of orderapp.queues."""
    queues = importlib.import_module("orderapp.queues")
    environment = {**os.environ, **NOWHERE}
    command = [sys.executable, "-c", SHOW_TASKS]
    worker = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert worker.returncode == 0, worker.stderr
    registered = json.loads(worker.stdout.splitlines()[-1])
    assert_none(queue_breaches(queues.QUEUE_NAMES, queues.TASKS, registered))


def test_a_line_of_migrations_is_no_breach(tmp_path: Path) -> None:
    """One after the other is fine."""
    migration(tmp_path, "0001", None)
    migration(tmp_path, "0002", "0001")
    assert_none(head_breaches(tmp_path))


def test_two_heads_are_found(tmp_path: Path) -> None:
    """Two migrations that follow the same one are seen."""
    migration(tmp_path, "0001", None)
    migration(tmp_path, "0002", "0001")
    migration(tmp_path, "0003", "0001")
    assert_found(head_breaches(tmp_path), "migrations/versions")


def test_missing_migrations_are_found(tmp_path: Path) -> None:
    """An empty repository has no head."""
    assert_found(head_breaches(tmp_path), "migrations/versions")


def test_queues_and_tasks_that_fit_are_no_breach() -> None:
    """Celery's own tasks are left in peace."""
    assert_none(queue_breaches(QUEUES, TASKS, REGISTERED))


@pytest.mark.parametrize(
    ("queues", "registered", "words"),
    [
        ((*QUEUES, "reports"), REGISTERED, "nothing is ever sent to the queue reports"),
        (("orders",), REGISTERED, "the queue webhooks is not declared"),
        (QUEUES, REGISTERED[:-1], "no worker knows the task webhooks.deliver"),
        (QUEUES, [*REGISTERED, "orders.tidy"], "the task orders.tidy is not in TASKS"),
    ],
)
def test_a_gap_between_queues_and_tasks_is_found(queues: tuple[str, ...], registered: list[str], words: str) -> None:
    """Each loose end is seen."""
    found = queue_breaches(queues, TASKS, registered)
    assert [words in breach for breach in found] == [True]


def test_a_task_filed_under_another_name_is_found() -> None:
    """The key and the name of a task are the same word."""
    tasks = {"orders.process": TASKS["orders.process"], "webhooks.deliver": TASKS["orders.process"]}
    found = queue_breaches(["orders"], tasks, REGISTERED)
    assert found == ["orderapp/queues.py:1: TASKS files orders.process under webhooks.deliver"]
