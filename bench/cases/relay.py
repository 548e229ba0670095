"""The relay on messages that it must not coalesce, beside raw publishing and a published outbox for Django."""

import sys
from collections.abc import Callable

from bench import backlog
from bench.backlog import Queue
from bench.measuring import Case, Contestants, Measured, Outcome, offer
from bench.stage import Stage, sql

# Rows per second of the run: what each publishes in about that time. Rows leave 2,000 at once: ten such windows at least.
OURS, THEIRS, LEAST = 8000, 800, 20_000

# Bytes that make raw messages as long on the wire as a delivery's: 588, of which 76 are its body, the rest Celery's headers.
MESSAGE = 520

WAITING = 1_000_000


def relayed(stage: Stage, database: str, broker: str, first: int, count: int) -> float:
    """Return the rows per second that a new relay takes away, from ``first`` on."""
    relay = stage.ours(database, broker).relay()
    try:
        rate = backlog.leave_rate(database, "outbox", first, count)
    finally:
        relay.kill()
    queue = Queue(broker, "webhooks")
    queue.purge()
    queue.close()
    return rate


def _relay(stage: Stage, outcome: Outcome) -> Contestants:
    database, broker, raw_broker = stage.database(), stage.vhost(), stage.vhost()

    def ours(seconds: float) -> float:
        count = max(LEAST, round(OURS * seconds))
        return relayed(stage, database, broker, backlog.messages(database, count), count)

    def raw(seconds: float) -> float:
        count = max(LEAST, round(OURS * seconds))
        arguments = ("-m", "bench.limits.publishing", raw_broker, "raw", str(count), str(MESSAGE))
        text = stage.await_end(stage.ours(database).start("raw", sys.executable, *arguments))
        queue = Queue(raw_broker, "raw")
        queue.purge()
        queue.close()
        return float(text.rpartition("rate ")[2])

    return offer(
        outcome, [("ours", lambda: ours), ("raw", lambda: raw), ("django-celery-outbox", lambda: _django_celery_outbox(stage))]
    )


def _django_celery_outbox(stage: Stage) -> Callable[[float], Measured]:
    database, broker = stage.empty_database(), stage.vhost()
    environment = {
        "DATABASE_URL": database,
        "CELERY_BROKER_URL": broker,
        "OUTBOX": "1",
        "DJANGO_SETTINGS_MODULE": "bench.peers.shop.settings",
    }
    # One row by the library itself; the rest are copies of it.
    stage.await_end(stage.peer("prepare", "python", "-m", "bench.peers.shop.prepare", "1", environment=environment))
    sql(database, "CREATE TABLE example AS SELECT * FROM celery_outbox LIMIT 1")
    sql(database, "TRUNCATE celery_outbox")
    names = [name for (name,) in sql(database, "SELECT attname FROM pg_attribute WHERE attrelid = 'example'::regclass")]
    known = sql(database, "SELECT column_name FROM information_schema.columns WHERE table_name = 'example'")
    columns = ", ".join(name for (name,) in known if name != "id" and name in names)

    def measure(seconds: float) -> float:
        count = round(THEIRS * seconds)
        ((first,),) = sql(
            database,
            f"WITH added AS (INSERT INTO celery_outbox ({columns}) SELECT {columns} FROM example, generate_series(1, {count})"
            " RETURNING id) SELECT min(id) FROM added",
        )
        sql(database, "VACUUM ANALYZE celery_outbox")
        relay = stage.peer("relay", "python", "-m", "django", "celery_outbox_relay", environment=environment)
        try:
            return backlog.leave_rate(database, "celery_outbox", first, count)
        finally:
            relay.kill()

    return measure


def _backlog(stage: Stage, outcome: Outcome) -> Contestants:
    def beside(waiting: int, *, later: bool) -> Callable[[], Callable[[float], Measured]]:
        def start() -> Callable[[float], Measured]:
            database, broker = stage.database(), stage.vhost()
            backlog.messages(database, waiting, later=later)

            def measure(seconds: float) -> float:
                count = max(LEAST, round(OURS * seconds))
                if later:
                    first = backlog.messages(database, count)
                else:
                    ((first,),) = sql(database, "SELECT min(id) FROM outbox")
                return relayed(stage, database, broker, first, count)

            return measure

        return start

    return offer(
        outcome,
        [
            ("1,000", beside(1000, later=True)),
            ("1,000,000 later", beside(WAITING, later=True)),
            ("1,000,000 due", beside(WAITING, later=False)),
        ],
    )


CASES = (
    Case("relay", "one relay, one message per row", "rows/s", _relay),
    Case("relay_backlog", "the same beside rows that wait", "rows/s", _backlog),
)
