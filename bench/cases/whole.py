"""The whole service under load: throughput from POST to settled, and memory."""

from dataclasses import dataclass
from typing import Any

from bench import load, procfs
from bench.cases import web
from bench.measuring import Case, Contestants, Outcome
from bench.stage import Stage, sql

# The pipeline runs 12 times as long as other contestants do (60 s of 5), its reference twice; together below two minutes.
PIPELINE, ALONE = 12, 4


@dataclass(frozen=True)
class Service:
    """All of our processes on one database and one broker."""

    database: str
    broker: str
    web: Any
    relay: Any
    worker: Any


def service(stage: Stage) -> Service:
    """Start everything that an order passes."""
    database, broker = web.with_products(stage), stage.vhost()
    ours = stage.ours(database, broker)
    started = ours.web(), ours.relay(), ours.worker(concurrency=2, queues="orders,maintenance")
    for process in started:
        process.wait_ready()
    return Service(database, broker, *started)


def _pipeline(stage: Stage, outcome: Outcome) -> Contestants:
    whole = service(stage)
    url = stage.ours(web.with_products(stage)).web().wait_ready().url

    def settled(seconds: float) -> dict[str, float]:
        duration = PIPELINE * seconds
        began = sql(whole.database, "SELECT clock_timestamp()")[0][0]
        posted = load.wrk(f"{whole.web.url}/api/orders/", "post.lua", duration, str(load.PRODUCTS))
        ((done, waiting),) = sql(
            whole.database,
            "SELECT count(*) FILTER (WHERE settled_at < %s + make_interval(secs => %s)),"
            " count(*) FILTER (WHERE settled_at IS NULL) FROM orders WHERE created_at >= %s",
            (began, duration, began),
        )
        outcome.note(f"{waiting} orders still waited when the load ended")
        return {"settled": done / duration, "posted meanwhile": posted}

    alone = web.posts(url)
    return {"post only": lambda seconds: alone(ALONE * seconds), "settled": settled}


def _memory(stage: Stage, _outcome: Outcome) -> Contestants:
    whole = service(stage)

    def measure(seconds: float) -> dict[str, float]:
        load.wrk(f"{whole.web.url}/api/orders/", "post.lua", ALONE * seconds, str(load.PRODUCTS))
        ((orders,),) = sql(whole.database, "SELECT count(*) FROM orders")
        return {
            "web worker MB": max(map(procfs.resident, whole.web.children)),
            "relay MB": procfs.resident(whole.relay.pid),
            "worker child MB": max(map(procfs.resident, whole.worker.children)),
            "orders so far": orders,
        }

    return {"ours": measure}


CASES = (
    Case("pipeline", "POST to settled with everything on, against POST alone", "orders/s", _pipeline, most_rounds=1),
    Case("memory", "resident memory under load", "MB", _memory),
)
