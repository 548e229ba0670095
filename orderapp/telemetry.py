"""What a process counts: requests, tasks, published messages. What PostgreSQL knows is read there (monitoring/truths.py).

Every instrument has a label: one without would be exported as 0 by processes that never touch it, and a 0 may be an alarm.
Counting costs a microsecond or two, and never fails whoever counts.
"""

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

from flask import Flask, Request, Response, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, multiprocess, values

from tally import VARIABLE

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series per counter, which nothing here asks for

if VARIABLE in os.environ:
    # The library decides this at its import, and Celery's command line imports it, by way of Flower, before anything of ours.
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()

# Seconds. A POST takes a few milliseconds, a client gives up after some seconds; in between each step doubles or so.
QUICK = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10)

# Seconds. A settle takes milliseconds, an order's task is killed after 10 s, one of a report after 300 s.
SLOW = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3, 10, 30, 300)

# Ids in one message: 100 orders or 20 deliveries at most (queues.py).
SIZES = (1, 2, 5, 10, 20, 50, 100)

# Whatever else a client may call its method: each word would be a series of its own for ever.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

REQUESTS = Histogram(
    "orderapp_request_seconds",
    "Requests by route, and how long each took.",
    ("route", "method", "status"),
    buckets=QUICK,
    registry=REGISTRY,
)
IN_PROGRESS = Gauge(
    "orderapp_requests_in_progress",
    "Requests being answered; each holds a thread, and a database connection at times.",
    ("server",),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
TASKS = Histogram(
    "orderapp_task_seconds",
    "Tasks by outcome (done, refused, given_back), and how long each took.",
    ("task", "outcome"),
    buckets=SLOW,
    registry=REGISTRY,
)
RESCUED = Counter(
    "orderapp_rescued", "What was sent again because its message or worker was lost.", ("what",), registry=REGISTRY
)
CONFIRMS = Histogram(
    "orderapp_relay_confirm_seconds",
    "From the first publish of a window to the broker's last answer.",
    ("queue",),
    buckets=QUICK,
    registry=REGISTRY,
)
MESSAGES = Histogram(
    "orderapp_relay_message_ids",
    "Messages that the broker confirmed, and how many outbox rows each carried.",
    ("queue",),
    buckets=SIZES,
    registry=REGISTRY,
)
BROKER_REACHABLE = Gauge("orderapp_broker_reachable", "1, or 0 while a relay cannot publish.", ("process",), registry=REGISTRY)
BROKER_MESSAGES = Gauge(
    "orderapp_broker_messages",
    "Messages ready in a queue of the broker, as a worker last saw them.",
    ("queue",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LAST_TICK = Gauge(
    "orderapp_last_tick_timestamp_seconds",
    "When a clock last looked for what is due and could send it.",
    ("process",),
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)


def init_app(app: Flask) -> None:
    """Count every request. To be called early: what is called first begins first and ends last."""
    app.before_request(_begin)
    app.after_request(_observe)
    app.teardown_request(_end)


# Found again by what they are for: labels() takes longer than counting does.
_requests: dict[tuple[str, str, int], Histogram] = {}

BEGAN = "orderapp.began"

# In a rule, what an argument may be: <int(max=9):order_id> is <order_id> to a reader.
_CONVERTER = re.compile("<[^:>]*:")


def _begin() -> None:
    environ = request.environ
    environ[BEGAN] = time.perf_counter()
    try:
        _in_progress().inc()
    except OSError:  # nobody: whoever answers is not to fail because it cannot be counted
        del environ[BEGAN]


def _observe(response: Response) -> Response:
    asked: Request = request._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - each look through the proxy costs
    if BEGAN not in asked.environ:
        return response
    rule = asked.url_rule
    # By rule and not by path: ids, and what strangers look for, would make series without end.
    labels = (rule.rule if rule else "none", asked.method if asked.method in METHODS else "other", response.status_code)
    try:
        counter = _requests.get(labels) or _counter(labels)
        counter.observe(time.perf_counter() - asked.environ[BEGAN])
    except OSError:  # as above
        pass
    return response


def _counter(labels: tuple[str, str, int]) -> Histogram:
    rule, method, status = labels
    counter = _requests[labels] = REQUESTS.labels(plain(rule), method, status)
    return counter


def plain(rule: str) -> str:
    """Return a rule of a route without what an argument may be."""
    return _CONVERTER.sub("<", rule)


def _end(_error: BaseException | None) -> None:
    if BEGAN in request.environ:
        with suppress(OSError):
            _in_progress().dec()


@cache
def _in_progress() -> Gauge:
    return IN_PROGRESS.labels("web")


def forget_process(pid: int) -> None:
    """Drop what only a live process can have: requests in progress. What it has counted stays."""
    if _counts_together():
        multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


@contextmanager
def timing_task(name: str) -> Iterator[None]:
    """Count a task and its outcome: done, given back to its queue, or refused for good."""
    began, outcome = time.perf_counter(), "done"
    try:
        yield
    except BaseException as error:  # the task's own caller words it; here it only is counted
        outcome = "given_back" if getattr(error, "requeue", False) else "refused"
        raise
    finally:
        with suppress(OSError):
            TASKS.labels(name, outcome).observe(time.perf_counter() - began)


def note_window(queue: str, sizes: Iterable[int], seconds: float) -> None:
    """Count a relay's window: the rows in each message that was confirmed, and how long the answers took."""
    CONFIRMS.labels(queue).observe(seconds)
    messages = MESSAGES.labels(queue)
    for size in sizes:
        messages.observe(size)


def note_broker(process: str, *, reachable: bool) -> None:
    """Note whether a relay, that of tasks or that of events, can publish."""
    BROKER_REACHABLE.labels(process).set(reachable)


def note_rescued(what: str, count: int) -> None:
    """Count what was sent again."""
    with suppress(OSError):
        RESCUED.labels(what).inc(count)


def note_queue(queue: str, messages: int) -> None:
    """Note how many messages are ready in a queue of the broker."""
    with suppress(OSError):
        BROKER_MESSAGES.labels(queue).set(messages)


def note_tick(process: str) -> None:
    """Note that a clock has just looked for what is due and could send it."""
    with suppress(OSError):
        LAST_TICK.labels(process).set_to_current_time()


def registry() -> CollectorRegistry:
    """Return a registry of what all processes of this service have counted; the caller may add to it."""
    whole = CollectorRegistry()
    if _counts_together():
        multiprocess.MultiProcessCollector(whole)  # type: ignore[no-untyped-call]
    else:
        whole.register(REGISTRY)
    return whole


def _counts_together() -> bool:
    return VARIABLE in os.environ
