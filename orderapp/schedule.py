"""Beat's table: everything that happens by the clock, and how often. The only list; docs/operations.md shows it."""

from dataclasses import dataclass
from typing import Any

from orderapp import queues


@dataclass(frozen=True)
class Entry:
    """One task without arguments, sent every so many seconds."""

    task: str
    every: int
    why: str


# Intervals and no times of day: Beat then needs no file, and a task finds in PostgreSQL what there is to do. Midnight in
# REPORT_TIMEZONE is seen by the task itself, in at most five minutes.
BEAT = (
    Entry(queues.ORDERS_RESCUE, 5, "a lost order waits for its lease (15 s) or 30 s anyway"),
    Entry(queues.WEBHOOKS_RESCUE, 5, "the same for deliveries"),
    Entry(queues.ORDERS_PRUNE, 300, "idempotency keys are promised for 24 hours; minutes more do no harm"),
    Entry(queues.REPORTS_SUMMARISE, 300, "yesterday's sales soon after midnight, late cancellations soon after they happen"),
)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the table as Celery takes it."""
    return {entry.task: _as_celery_takes_it(entry) for entry in BEAT}


def _as_celery_takes_it(entry: Entry) -> dict[str, Any]:
    # A message that waited until the next is due would only do the same again.
    options = {"expires": entry.every, "queue": queues.TASKS[entry.task].queue}
    return {"task": entry.task, "schedule": entry.every, "options": options}
