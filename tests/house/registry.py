"""Style: one migration head; every queue has a task, every task a queue and code that runs it."""

from collections.abc import Collection, Mapping
from pathlib import Path

from alembic.script import ScriptDirectory

from .documents import Task


def head_breaches(root: Path) -> list[str]:
    """Return a fault unless the migrations form one line: two heads would make `flask db upgrade` stop."""
    if not (root / "migrations/versions").is_dir():
        return ["migrations/versions:1: there are no migrations"]
    heads = ScriptDirectory(str(root / "migrations")).get_heads()
    return [] if len(heads) == 1 else [f"migrations/versions:1: {len(heads)} heads {sorted(heads)}; put one after the other"]


def queue_breaches(queues: Collection[str], tasks: Mapping[str, Task], registered: Collection[str]) -> list[str]:
    """Compare the list of queues, the list of tasks and the tasks that the worker knows."""
    page = "orderapp/queues.py:1"
    own = [name for name in registered if not name.startswith("celery.")]
    used = {task.queue for task in tasks.values()}
    return [
        *(f"{page}: nothing is ever sent to the queue {queue}" for queue in sorted(set(queues) - used)),
        *(f"{page}: the queue {queue} is not declared" for queue in sorted(used - set(queues))),
        *(f"{page}: no worker knows the task {name}" for name in sorted(set(tasks) - set(own))),
        *(f"{page}: the task {name} is not in TASKS" for name in sorted(set(own) - set(tasks))),
        *(f"{page}: TASKS files {task.name} under {name}" for name, task in tasks.items() if task.name != name),
    ]
