"""Beat's table: everything that happens by the clock, and how often. The only list; docs/operations.md shows it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog
from celery.beat import Scheduler as CeleryScheduler
from celery.signals import before_task_publish

from heartbeat import Heart
from orderapp import exposition, queues, telemetry

log = structlog.get_logger(__name__)

# Seconds by which the clocks of two hosts may differ: a message expires by the clock of the worker that reads it, and a
# worker ahead by more would take no rescue at all. A worker that was away finds so many seconds' messages, all but one for
# nothing.
APART = 60


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
    Entry(queues.WEBHOOKS_PRUNE, 300, "a little at a time, so that no run is long"),
    Entry(queues.REPORTS_SUMMARISE, 300, "yesterday's sales soon after midnight, late cancellations soon after they happen"),
)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the table as Celery takes it."""
    return {entry.task: _as_celery_takes_it(entry) for entry in BEAT}


def _as_celery_takes_it(entry: Entry) -> dict[str, Any]:
    # A message that waited until the next is due would only do the same again.
    options = {"expires": max(entry.every, APART), "queue": queues.TASKS[entry.task].queue}
    return {"task": entry.task, "schedule": entry.every, "options": options}


@before_task_publish.connect
def _leave_the_end_to_the_worker(properties: dict[str, Any], **_signal: Any) -> None:
    """Have an expired tick dropped by the worker that gets it, which Celery does, and not by RabbitMQ as well.

    RabbitMQ would put each among the dead letters: an outage of PostgreSQL, in which ticks are given back, left some there,
    and with them an alert about messages whose work the next tick had done long since.
    """
    properties.pop("expiration", None)


class Scheduler(CeleryScheduler):
    """Celery's scheduler in memory (every entry is an interval: no file to corrupt), which says that it is alive."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._heart = Heart("beat")
        self._sends = True
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Begin; Celery makes another scheduler for its banner, which never does."""
        super().setup_schedule()
        telemetry.note_tick("beat")  # a Beat that never gets to its first tick is silent from now on
        exposition.listen(self.app.conf.flask_app.extensions["settings"])

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; at least every few seconds."""
        self._heart.beat()
        self._notice_clock_set_back()
        pause = float(super().tick(*args, **kwargs))
        if self._sends:
            telemetry.note_tick("beat")  # afterwards: a tick that hangs on the broker is none
        return pause

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        """Send a message. One that cannot be sent Celery logs and forgets: until the next one can, no tick counts."""
        self._sends = False
        sent = super().apply_async(*args, **kwargs)
        self._sends = True
        return sent

    def _notice_clock_set_back(self) -> None:
        """Begin the intervals anew when a last run lies in the future: Celery would wait until the clock has caught up."""
        ahead = [entry for entry in self.schedule.values() if entry.last_run_at and entry.last_run_at > entry.default_now()]
        if ahead:
            log.warning("clock was set back, all intervals begin anew")
            for entry in ahead:
                entry.last_run_at = entry.default_now()
            self._heap = None  # made of times of the old clock

    @cached_property
    def connection(self) -> Any:
        """Return the connection, whose waiting for the broker is no standstill."""
        return beating(self.app.connection_for_write(), self._heart)


def beating(connection: Any, heart: Heart) -> Any:
    """Return the connection; while it waits for a broker that is away, however long, it says each second that it does."""
    ensure_connection = connection.ensure_connection

    def ensure(*args: Any, callback: Any = None, **kwargs: Any) -> Any:
        def each_second() -> None:
            heart.beat()
            if callback:
                callback()

        return ensure_connection(*args, callback=each_second, **kwargs)

    connection.ensure_connection = ensure
    return connection
