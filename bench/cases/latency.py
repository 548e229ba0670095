"""How long one message and one order take when the service has nothing else to do."""

import json
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import amqp
import requests

from bench import load
from bench.cases import settling, web, whole
from bench.measuring import Case, Contestants, Measured, Outcome, offer
from bench.stage import Stage, connect, sql
from tests.servers.waiting import wait_until

# Samples per second of a latency: far apart, so that the service is idle in between.
SAMPLES = 20


def _idle_latency(stage: Stage, outcome: Outcome) -> Contestants:
    outcome.note("until a consumer has it: a quorum queue hands out what it confirms")
    database, broker = stage.database(), stage.vhost()
    stage.ours(database, broker).relay().wait_ready()
    arrivals: dict[int, float] = {}
    connection = connect(database)
    stage.defer(connection.close)

    def publish(subject: int) -> float:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO outbox (queue, task, subject_id) VALUES ('orders', 'orders.process', %s)", (subject,))
        return time.perf_counter()

    def measure(seconds: float) -> dict[str, float]:
        sent = {}
        first = len(arrivals) + 1
        with noting(broker, arrivals):
            for subject in range(first, first + round(SAMPLES * seconds)):
                sent[subject] = publish(subject)
                # At random, so that the relay's polls are met at every phase.
                time.sleep(random.uniform(0.5, 1.5) / SAMPLES)  # noqa: S311
            wait_until(lambda: len(arrivals) >= first - 1 + len(sent), 10, "the last message")
        return percentiles([1000 * (arrivals[subject] - at) for subject, at in sent.items()])

    first_relayed(database)
    return {"ours": measure}


def first_relayed(database: str) -> None:
    """Let the relay connect and declare the queues, by a message for nobody; then a consumer may come."""
    sql(database, "INSERT INTO outbox (queue, task, subject_id) VALUES ('webhooks', 'webhooks.deliver', 1)")
    wait_until(lambda: sql(database, "SELECT count(*) = 0 FROM outbox")[0][0], load.MARGIN, "the first message")


@contextmanager
def noting(broker: str, arrivals: dict[int, float]) -> Iterator[None]:
    """Meanwhile, note when each message of the orders' queue arrives, by the subjects in its body."""
    listening, stop = threading.Event(), threading.Event()
    consumer = threading.Thread(target=_consume, args=(broker, arrivals, listening, stop))
    consumer.start()
    try:
        if not listening.wait(load.MARGIN):
            raise TimeoutError("no consumer")
        yield
    finally:
        stop.set()
        consumer.join()


def _consume(broker: str, arrivals: dict[int, float], listening: threading.Event, stop: threading.Event) -> None:
    host, _, vhost = broker.rpartition("@")[2].partition("/")

    def note(message: Any) -> None:
        now = time.perf_counter()
        for subject in json.loads(message.body)[0][0]:
            arrivals[subject] = now

    with amqp.Connection(host, "guest", "guest", virtual_host=vhost) as connection:
        channel: Any = connection.channel()
        channel.basic_consume("orders", no_ack=True, callback=note)
        listening.set()
        while not stop.is_set():
            try:
                connection.drain_events(timeout=0.2)
            except TimeoutError:
                continue


def percentiles(values: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50 ms": cuts[49], "p99 ms": cuts[98]}


def _time_to_settled(stage: Stage, outcome: Outcome) -> Contestants:
    def ours() -> Callable[[float], Measured]:
        started = whole.service(stage)
        return _latency("ours", started.web.url, started.database)

    def task_delay() -> Callable[[float], Measured]:
        environment, url = web.flask_orm(stage)
        words = ("celery", "-A", "bench.peers.flask_orm.celery", *settling.WORKER, "-l", "INFO")
        stage.peer("worker", *words, environment=environment, says=" ready.")
        return _latency("task.delay", url, environment["DATABASE_URL"])

    return offer(outcome, [("ours", ours), ("task.delay", task_delay)])


def _latency(name: str, url: str, database: str) -> Callable[[float], Measured]:
    """Return what measures from before the POST until the outcome is committed, one order at a time."""
    connection = connect(database)
    cursor, session = connection.cursor(), requests.Session()

    def once() -> float:
        began = time.perf_counter()
        answer = session.post(f"{url}/api/orders/", json=web.ORDER, timeout=10)
        answer.raise_for_status()
        while time.perf_counter() - began < load.MARGIN:
            cursor.execute("SELECT status FROM orders WHERE id = %s", (answer.json()["id"],))
            if cursor.fetchone()[0] == "confirmed":
                return 1000 * (time.perf_counter() - began)
            time.sleep(0.001)
        raise TimeoutError(f"{name} did not settle")

    def measure(seconds: float) -> dict[str, float]:
        values = []
        for _ in range(round(SAMPLES * seconds)):
            values.append(once())
            time.sleep(random.uniform(0, 1) / SAMPLES)  # noqa: S311 - see above
        return {f"{name} {key}": value for key, value in percentiles(values).items()}

    once()
    return measure


CASES = (
    Case("idle_latency", "commit to confirmed publish, the relay idle", "ms", _idle_latency),
    Case("time_to_settled", "POST to settled, one order at a time", "ms", _time_to_settled),
)
