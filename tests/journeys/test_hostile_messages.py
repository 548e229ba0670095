"""Messages that no relay of ours sends: no process ends, nothing changes, each is a dead letter with its reason in the log."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
import pytest

from orderapp.queues import DEAD_QUEUE
from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.rabbitmq

# One more than PostgreSQL's largest bigint, and one that no machine word holds.
TOO_LARGE, HUGE = 2**63, 10**40


def _task(*args: Any, task: str = "orders.process", **changes: Any) -> Callable[[World], None]:
    return lambda shop: shop.messages.send(task, *args, **changes)


def _body(body: bytes, task: str = "orders.process", **properties: Any) -> Callable[[World], None]:
    headers = {"task": task, "id": str(uuid4()), "lang": "py"}
    return lambda shop: shop.messages.publish(task.partition(".")[0], body, headers, **properties)


def _raw(body: bytes, **properties: Any) -> Callable[[World], None]:
    return lambda shop: shop.messages.publish("orders", body, **properties)


def _raw_ids(number: object) -> Callable[[World], None]:
    return _body(f"[[[{number}]], {{}}, {{}}]".encode())  # our JSON writer refuses such a number


PICKLE = "application/x-python-serialize"

TRIPLE = r"its body is not \[args, kwargs, embed\]"
FAR = "2999-01-01T00:00:00+00:00"

# What arrives, and what the log must say about it.
HOSTILE = {
    "a body that is not JSON": (_body(b"\xff{not json"), "cannot decode"),
    "a webhook body that is not JSON": (_body(b"]", task="webhooks.deliver"), "cannot decode"),
    "an empty body": (_body(b""), TRIPLE),
    "a pickle": (_body(b"\x80\x04N.", content_type=PICKLE), "cannot decode.*pickle"),
    "a content type nobody knows": (_body(b"[[[1]], {}, {}]", content_type="text/nonsense"), "cannot decode.*nonsense"),
    "a number instead of arguments": (_body(b"42"), TRIPLE),
    "two parts instead of three": (_body(b"[[[1]], {}]"), TRIPLE),
    "keywords that are no object": (_task([1], kwargs=[1]), TRIPLE),
    "no headers at all": (_raw(b"[[[1]], {}, {}]"), "names no task"),
    "no headers and no JSON": (_raw(b"\xff\xfe"), "names no task"),
    "the protocol of ten years ago": (_raw(b'{"task": "orders.process", "id": "1", "args": [[1]]}'), "names no task"),
    "a task that is no name": (_task([1], headers={"task": {"a": 1}}), "names no task"),
    "no task id": (_task([1], headers={"id": None}), "task id is no UUID"),
    "a task id that is no UUID": (_task([1], task_id="1; DROP TABLE orders"), "task id is no UUID"),
    "a delay of a thousand years": (_task([1], headers={"eta": FAR}), "brings eta"),
    "a time limit that is none": (_task([1], headers={"timelimit": "long"}), "time limit of its own"),
    "a callback": (_task([1], embed={"callbacks": [{"task": "orders.process", "args": [[1]]}]}), "brings callbacks"),
    "an expiry that is no time": (_task([1], headers={"expires": "never"}), "invalid expires"),
    "a chain among the headers": (_task([1], headers={"chain": [{"task": "orders.process"}]}), "brings chain"),
    "stamps that are none": (_task([1], headers={"stamped_headers": 1}), "brings stamped_headers"),
    "a compression nobody knows": (_task([1], headers={"compression": "nonsense"}), "cannot decode"),
    "an unknown task": (_task([1], task="orders.destroy"), "has no task 'orders.destroy'"),
    "a task of Celery's own": (_task(task="celery.backend_cleanup", queue="orders"), "has no task 'celery.backend_cleanup'"),
    "a task of Celery's own that runs others": (
        _task({"task": "orders.rescue"}, [[]], task="celery.starmap", queue="orders"),
        "has no task 'celery.starmap'",
    ),
    "no content type": (_body(b"[[[1]], {}, {}]", content_type=""), "cannot decode|its body is not"),
    "a zip that is none": (_task([1], headers={"compression": "application/x-gzip"}), "cannot decode"),
    "a hundred thousand brackets": (_body(b"[" * 100_000), "cannot decode"),
    "a number of five thousand digits": (_raw_ids("9" * 5000), "cannot decode"),
    "a number that is none": (_raw_ids("NaN"), "positive 64-bit ids"),
    "a number that never ends": (_raw_ids("Infinity"), "positive 64-bit ids"),
    "a task id that is a number": (_task([1], headers={"id": 1}), "task id is no UUID"),
    "a keyword of Python's own": (_task(kwargs={"self": 1, "order_ids": [1]}), "wrong arguments.*self"),
    "a keyword with a text": (_task(kwargs={"order_ids": ["1"]}), "positive 64-bit ids"),
    "a hundred thousand ids": (_task(list(range(1, 100_001))), "takes a list of 1 to 100 ids"),
    "a day that is none": (_task("2026-02-30", task="reports.summarise_day", queue="maintenance"), "reports.summarise_day: "),
    "no list": (_task(1), "takes a list"),
    "an empty list": (_task([]), "takes a list of 1 to 100 ids"),
    "an empty list of deliveries": (_task([], task="webhooks.deliver"), "takes a list of 1"),
    "too many ids": (_task(list(range(1, 102))), "takes a list of 1 to 100 ids"),
    "a text": (_task(["1"]), "positive 64-bit ids"),
    "a float": (_task([1.0]), "positive 64-bit ids"),
    "a bool": (_task([True]), "positive 64-bit ids"),
    "a null": (_task([None]), "positive 64-bit ids"),
    "an object": (_task({"order_ids": [1]}), "takes a list"),
    "zero": (_task([0]), "positive 64-bit ids"),
    "a negative id": (_task([-1]), "positive 64-bit ids"),
    "an id beyond bigint": (_task([TOO_LARGE]), "positive 64-bit ids"),
    "an id beyond everything": (_raw_ids(HUGE), "positive 64-bit ids"),
    "a delivery id beyond bigint": (_task([TOO_LARGE], task="webhooks.deliver"), "positive 64-bit ids"),
    "an argument too many": (_task([1], 2), "wrong arguments"),
    "no argument": (_task(), "wrong arguments"),
    "an unknown keyword": (_task([1], kwargs={"force": True}), "wrong arguments.*force"),
    "arguments for rescue": (_task([1], task="orders.rescue"), "wrong arguments"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_set_aside_with_its_reason_and_changes_nothing(shop: World, name: str) -> None:
    """Workers, and whoever can reach the broker, make mistakes; an order or a worker must never pay for them."""
    send, expected = HOSTILE[name]
    workers = (shop.worker, shop.worker2)
    shop.place({shop.product(): 1})
    shop.check()
    before, pids = shop.snapshot(), [one.children for one in workers]
    said_before = [len(one.text) for one in workers]

    send(shop)
    wait_until(lambda: shop.messages.waiting(DEAD_QUEUE), 15, f"{name} in {DEAD_QUEUE}")

    assert len(shop.messages.take(DEAD_QUEUE)) == 1
    said = "".join(one.text[start:] for one, start in zip(workers, said_before, strict=True))
    assert re.search(expected, said), said
    assert shop.snapshot() == before
    assert [one.children for one in workers] == pids
    assert all(one.exit_code is None for one in workers)


@pytest.mark.proof
def test_orders_go_on_among_a_hundred_hostile_messages(shop: World) -> None:
    """Bad messages hold up no good one: no slot of a worker stays taken."""
    senders = [send for send, _expected in HOSTILE.values()] * 2
    order_ids = []
    lamp = shop.product()
    for send in senders:
        send(shop)
        order_ids.append(shop.place({lamp: 1}))
    shop.wait_settled(order_ids)
    wait_until(lambda: shop.messages.waiting(DEAD_QUEUE) == len(senders), 30, "all dead letters")
    told = shop.processes.start("dead", "flask", "outbox", "dead", "--json")
    wait_until(lambda: told.exit_code is not None, 30, "flask outbox dead")
    shop.messages.take(DEAD_QUEUE)
    shop.check()

    assert shop.statuses(order_ids) == {"confirmed"}
    assert shop.attempts(order_ids) == {1}
    found = orjson.loads(told.text)
    assert (found["messages"], found["looked_at"]) == (len(senders), len(senders))
    # Only Celery judges an expiry, and only its door a day; of both the log tells.
    unexplained = {one["task"]: one["messages"] for one in found["reasons"] if "its task failed" in one["reason"]}
    assert unexplained == {"orders.process": 2, "reports.summarise_day": 2}
