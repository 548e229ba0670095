"""Webhooks sent to a receiver that answers at once, beside a bare loop of requests to the same receiver."""

import sys

from bench import backlog
from bench.cases.web import with_products
from bench.measuring import Case, Contestants, Outcome
from bench.stage import Stage, sql
from tests.servers.processes import Processes
from tests.servers.receiver import SECRET
from tests.servers.waiting import free_port
from tests.soak.planting import DUE_WEBHOOKS

# Deliveries per second of the run, and bodies that the bare loop posts in its time.
DELIVERIES, BODIES = 1500, 2000

# The endpoint that WEBHOOK_URL sets, and what the orders are of.
BUILT_IN, PRODUCTS = 1, (1, 2)

ANSWERED = "state = 'succeeded' AND attempt = 1"


def _webhooks(stage: Stage, outcome: Outcome) -> Contestants:
    database, broker, host = with_products(stage), stage.vhost(), f"127.0.0.1:{free_port()}"
    url = f"http://{host}/hook"
    ours = stage.ours(database, broker, WEBHOOK_URL=url, WEBHOOK_SECRET=SECRET, WEBHOOK_ALLOWED_HOSTS=host)
    receiver = ours.start("receiver", sys.executable, "-m", "bench.limits.receiving", host)
    receiver.wait_for_line("listening")

    def sent(seconds: float) -> float:
        first, last = _due(ours, stage, database, round(DELIVERIES * seconds))
        # A run that has had its time hands over by a message.
        processes = ours.relay(), ours.worker(concurrency=2, queues="webhooks")
        try:
            rate = backlog.settle_rate(database, "webhook_deliveries", "finished_at", first, last)
        finally:
            for process in processes:
                process.kill()
        ((others,),) = sql(database, f"SELECT count(*) FROM webhook_deliveries WHERE NOT ({ANSWERED})")
        if others:
            raise RuntimeError(f"{others} webhooks were not received at the first attempt")
        return rate

    def bare(seconds: float) -> float:
        loop = ours.start("loop", sys.executable, "-m", "bench.limits.posting", url, str(BODIES), str(seconds))
        return float(stage.await_end(loop).rpartition("rate ")[2])

    outcome.note("the worker starts with its queue full; the loop is one process with one connection")
    return {"ours": sent, "bare loop": bare}


def _due(ours: Processes, stage: Stage, database: str, count: int) -> tuple[int, int]:
    """Queue so many webhooks; return the first and the last delivery."""
    ((first, last),) = sql(database, DUE_WEBHOOKS, (BUILT_IN, count, *PRODUCTS, False))
    sql(database, "VACUUM ANALYZE")
    stage.await_end(ours.start("relay", "flask", "outbox", "relay", "--once"))
    return int(first), int(last)


CASES = (Case("webhooks", "a backlog of webhooks to a fast receiver, two worker processes", "webhooks/s", _webhooks),)
