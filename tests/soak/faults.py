"""How each fault of a schedule is done."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

import amqp

from orderapp.queues import QUEUE_NAMES
from tests.servers.processes import READY
from tests.servers.waiting import wait_until
from tests.soak.schedule import Fault
from tests.soak.shop import Shop

_BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid
"""


def inflict(shop: Shop, fault: Fault) -> str:
    """Do it; returns what happened to whom, in words."""
    shop.tend()  # the last fault may have been a moment ago
    kind = fault.kind
    if kind == "kill RabbitMQ":
        shop.node.kill()
        shop.node.start()
        return "its node is back"
    if kind == "kill a backend of PostgreSQL":
        return _kill_one([pid for (pid,) in shop.rows(_BACKENDS)], fault.pick)
    if kind.endswith("a queue"):
        return _lose(shop, kind, QUEUE_NAMES[fault.pick % len(QUEUE_NAMES)])
    process = shop.processes[kind.removeprefix("kill ").removeprefix("a child of ").removeprefix("the parent of ")]
    if "a child of" in kind:
        process.wait_ready()  # one that was killed a moment ago is still starting
        return _kill_one(wait_until(lambda: process.children, READY, f"a child of the {process.name}"), fault.pick)
    if "the parent of" in kind:
        return _kill_one([process.pid], fault.pick)
    process.kill()
    return f"{process.pid} and its children"


def _kill_one(pids: Sequence[int], pick: int) -> str:
    pid = pids[pick % len(pids)]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return str(pid)


def _lose(shop: Shop, kind: str, queue: str) -> str:
    lose = shop.world.messages.purge if kind.startswith("purge") else shop.world.messages.delete
    try:
        return f"{queue}, {lose(queue)} messages"
    except (OSError, amqp.AMQPError) as error:
        return f"{queue} was not there ({type(error).__name__})"
