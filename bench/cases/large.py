"""`make bench-large`: a snapshot held for minutes under steady load, and millions of orders against a few."""

import random
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests
from flask import Flask

from bench import backlog, load
from bench.cases import latency, settling, web
from bench.measuring import Case, Contestants, Measured, Outcome, offer
from bench.stage import Stage, connect, sql
from orderapp import pagination
from tests.servers.waiting import wait_until

# The snapshot is held 60 times as long as another contestant runs: 5 minutes of 5 s. Latencies are taken at its end.
HELD = 60

# Messages per second of the steady load, and commits they come in: 300,000 dead rows in five minutes.
STEADY, COMMITS = 1000, 50

# Of a third of a second each: the median tells what the machine's other work leaves of them.
BURSTS = 7

FEW, MANY, MORE = 10_000, 1_000_000, 10_000_000

# What a new shop has: pages of a million orders are compared with its pages.
NEW = 1_000

# Signs the cursors of this benchmark only.
_SECRET = "benchmark-cursors-of-one-scratch-service"  # noqa: S105 - it guards nothing

# Orders per statement of the bulk load: a transaction of some seconds.
CHUNK = 500_000

# Settled orders with all their rows, past the triggers that only let orders begin pending.
_SETTLED = """
WITH placed AS (
    INSERT INTO orders (client_id, currency, status, total_amount, last_sequence, attempts, task_id, created_at, settled_at)
    SELECT 1, 'USD', 'confirmed', 2, 2, 1, gen_random_uuid(), at, at + interval '1 second'
    FROM (SELECT clock_timestamp() - make_interval(secs => {count} - n) AS at FROM generate_series({first}, {last}) AS n) AS s
    RETURNING id, created_at, settled_at
), lines AS (
    INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT id, 1 + id % 900, 1, 2 FROM placed
), sold AS (
    INSERT INTO stock_movements (product_id, order_id, delta, kind) SELECT 1 + id % 900, id, -1, 'sale' FROM placed
)
INSERT INTO order_events (id, order_id, sequence, type, occurred_at)
SELECT gen_random_uuid(), id, 1, 'order.placed', created_at FROM placed
UNION ALL SELECT gen_random_uuid(), id, 2, 'order.confirmed', settled_at FROM placed
"""


@dataclass
class Steady:
    """Puts messages into the outbox at a steady pace and notes when each is at a consumer."""

    database: str
    broker: str
    arrivals: dict[int, float] = field(default_factory=dict)
    sent: dict[int, float] = field(default_factory=dict)

    def run(self, seconds: float) -> None:
        """Load for that long, then wait for the last message."""
        with latency.noting(self.broker, self.arrivals), closing(connect(self.database)) as connection:
            began = time.perf_counter()
            for turn in range(round(COMMITS * seconds)):
                self._commit(connection)
                time.sleep(max(0.0, began + (turn + 1) / COMMITS - time.perf_counter()))
            wait_until(lambda: len(self.arrivals) >= len(self.sent), backlog.PATIENCE, "the last message")

    def _commit(self, connection: Any) -> None:
        subjects = list(range(len(self.sent) + 1, len(self.sent) + 1 + STEADY // COMMITS))
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO outbox (queue, task, subject_id) SELECT 'orders', 'orders.process', n FROM unnest(%s) AS n",
                (subjects,),
            )
        self.sent |= dict.fromkeys(subjects, time.perf_counter())

    def p99(self, before: int) -> float:
        """Return the milliseconds that 99 of 100 messages took at most, without those sent ``before``."""
        values = [1000 * (self.arrivals[subject] - at) for subject, at in self.sent.items() if subject > before]
        return latency.percentiles(values)["p99 ms"]


def _held(stage: Stage, _outcome: Outcome) -> Contestants:
    database, broker = stage.database(), stage.vhost()
    stage.ours(database, broker).relay().wait_ready()
    latency.first_relayed(database)
    steady = Steady(database, broker)
    steady.run(1)

    def once(seconds: float, name: str) -> dict[str, float]:
        before = len(steady.sent)
        steady.run(4 * seconds)
        count = round(4000 * seconds)
        rates = []
        for _ in range(BURSTS):
            first = backlog.messages(database, count, vacuumed=False)
            rates.append(backlog.leave_rate(database, "outbox", first, count))
        return {f"p99 ms{name}": steady.p99(before), f"throughput{name}": statistics.median(rates)}

    def free(seconds: float) -> dict[str, float]:
        sql(database, "VACUUM outbox")
        return once(seconds, "")

    def held(seconds: float) -> dict[str, float]:
        connection = connect(database)
        connection.autocommit = False
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                cursor.execute("SELECT count(*) FROM orders")
            steady.run(HELD * seconds)
            return once(seconds, " held")
        finally:
            connection.rollback()  # answered when the snapshot is gone; a closed connection is noticed some time later
            connection.close()

    # At once after the end of the snapshot: minutes apart, a shared machine is another one.
    return {"held": held, "free": free}


def _grown(count: int) -> Callable[[Stage, Outcome], Contestants]:
    def prepare(stage: Stage, outcome: Outcome) -> Contestants:
        contestants: dict[str, Callable[[float], Measured]] = {}
        for size in (FEW, count):
            database = _filled(stage, outcome, size)
            contestants |= offer(outcome, _operations(stage, database, size))
        # Each operation at one size right after the same at the other.
        return dict(sorted(contestants.items(), key=lambda item: item[0].partition(" ")[0]))

    return prepare


def _filled(stage: Stage, outcome: Outcome, size: int) -> str:
    began = time.monotonic()
    database = web.with_products(stage)
    _fill(database, size)
    outcome.note(f"{size:,} orders made in {time.monotonic() - began:.0f} s")
    return database


def _fill(database: str, count: int) -> None:
    """Make that many settled orders with lines, events and ledger; stock follows the ledger."""
    connection = connect(database)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for first in range(1, count + 1, CHUNK):
            cursor.execute(_SETTLED.format(count=count, first=first, last=min(first + CHUNK - 1, count)))
        cursor.execute(
            "UPDATE products SET stock = sums.stock FROM (SELECT product_id, sum(delta) AS stock FROM stock_movements"
            " GROUP BY product_id) AS sums WHERE products.id = sums.product_id"
        )
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def _operations(stage: Stage, database: str, size: int) -> list[tuple[str, Callable[[], Callable[[float], Measured]]]]:
    url, broker = stage.ours(database).web().wait_ready().url, stage.vhost()

    def by_wrk(script: str, *arguments: str) -> Callable[[], Callable[[float], Measured]]:
        return lambda: lambda seconds: 1000 / load.wrk(f"{url}/api/orders/", script, seconds, *arguments)

    def settle(seconds: float) -> float:
        sql(database, "TRUNCATE outbox")  # what the POSTs left would be settled, too
        return 1000 / settling.settled(stage, database, broker, round(settling.OURS * seconds))

    return [
        (f"GET ms at {size:,}", by_wrk("get.lua", str(size))),
        (f"list ms at {size:,}", by_wrk("list.lua")),
        (f"settle ms at {size:,}", lambda: settle),
        (f"POST ms at {size:,}", by_wrk("post.lua", str(load.PRODUCTS))),
    ]


def _pages(stage: Stage, outcome: Outcome) -> Contestants:
    contestants: dict[str, Callable[[float], Measured]] = {}
    for size in (NEW, MANY):
        database = _filled(stage, outcome, size)
        url = f"{stage.ours(database, SECRET_KEY=_SECRET).web().wait_ready().url}/api/orders/"
        deep = _cursor(database, size // 10)
        asked = {
            "detail": lambda url=url, size=size: f"{url}{random.randint(1, size)}/",  # noqa: S311 - any order
            "first page": lambda url=url: url,
            "deep page": lambda url=url, deep=deep: f"{url}?cursor={deep}",
            "first page of confirmed": lambda url=url: f"{url}?status=confirmed",
        }
        for name, address in asked.items():
            contestants[f"{name} p50 ms at {size:,}"] = partial(_median, address)
    return dict(sorted(contestants.items(), key=lambda item: item[0].partition(" p50")[0]))


def _cursor(database: str, place: int) -> str:
    """Return the cursor of a page that ends at this order, as if somebody had read all that are newer."""
    at = sql(database, "SELECT created_at FROM orders WHERE id = %s", (place,))[0][0]
    signer = Flask(__name__)
    signer.secret_key = _SECRET
    with signer.app_context():
        return pagination.seal([at.isoformat(), place], {"list": "orders", "client": 1})


def _median(address: Callable[[], str], seconds: float) -> float:
    """Return the milliseconds that half of the answers took at most, asked one after the other."""
    taken, ends = [], time.monotonic() + seconds
    with requests.Session() as session:
        while time.monotonic() < ends:
            began = time.perf_counter()
            session.get(address(), timeout=30).raise_for_status()
            taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


CASES = (
    Case("held_snapshot", "the relay under a REPEATABLE READ snapshot held for minutes", "", _held, most_rounds=1, large=True),
    Case("many_orders", "1,000,000 orders against 10,000", "ms", _grown(MANY), large=True),
    Case("pages", "lists and one order among 1,000,000 against 1,000, one request at a time", "ms", _pages, large=True),
    Case("more_orders", "10,000,000 orders against 10,000", "ms", _grown(MORE), large=True),
)
