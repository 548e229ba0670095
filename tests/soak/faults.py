"""How each fault of a schedule is done."""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress

import amqp

from orderapp.queues import QUEUE_NAMES
from tests.servers.processes import READY
from tests.servers.waiting import wait_until
from tests.soak.schedule import ALARMS, LINKS, LOSSES, Fault
from tests.soak.shop import Shop

# Seconds that a slow link keeps what passes, each way; and the bytes of one of its slices.
LATENCY, SLICE = 0.1, 50

# What sets off each alarm and what ends it, as rabbitmqctl tells the node: the defaults of RabbitMQ and of our own nodes.
_ALARM = {
    "memory alarm": [f"vm_memory_monitor:set_vm_memory_high_watermark({at})." for at in ('{absolute, "1"}', "0.4")],
    "disk alarm": [f'rabbit_disk_monitor:set_disk_free_limit("{limit}").' for limit in ("1000000GB", "50MB")],
}

_BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid
"""


def inflict(shop: Shop, fault: Fault) -> str:
    """Do it; returns what happened to whom, in words."""
    shop.tend()  # the last fault may have been a moment ago
    if fault.kind in LINKS:
        return _disturb(shop, fault)
    if fault.kind in ALARMS:
        return _alarm(shop, fault)
    return _lose(shop, fault) if fault.kind in LOSSES else _kill(shop, fault)


def _kill(shop: Shop, fault: Fault) -> str:
    if fault.kind == "kill RabbitMQ":
        shop.node.kill()
        shop.node.start()
        return "its node is back"
    if fault.kind == "kill a backend of PostgreSQL":
        return _kill_one([pid for (pid,) in shop.rows(_BACKENDS)], fault.pick)
    role = fault.kind.removeprefix("kill ").removeprefix("a child of ").removeprefix("the parent of ")
    process = shop.one_of(role, fault.pick)
    if "a child of" in fault.kind:
        process.wait_ready()  # one that was killed a moment ago is still starting
        return _kill_one(wait_until(lambda: process.children, READY, f"a child of the {process.name}"), fault.pick)
    if "the parent of" in fault.kind:
        return _kill_one([process.pid], fault.pick)
    process.kill()
    return f"{process.name}, {process.pid} and its children"


def _kill_one(pids: Sequence[int], pick: int) -> str:
    pid = pids[pick % len(pids)]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return str(pid)


def _disturb(shop: Shop, fault: Fault) -> str:
    """Let something befall one link; it mends itself while other faults come."""
    name, link = sorted(shop.network.links.items())[fault.pick % len(shop.network.links)]
    on = link.connections
    match fault.kind:
        case "black hole":
            link.swallow()
        case "half-open":
            link.half_open()
        case "latency":
            link.slow(LATENCY)
        case "slices":
            link.chop(SLICE)
        case "reset":
            link.reset()
            return f"{name}, {on} connections"
    link.heal_after(fault.lasts)
    return f"{name}, {on} connections, {fault.lasts:.1f} s"


def _alarm(shop: Shop, fault: Fault) -> str:
    begin, end = _ALARM[fault.kind]
    shop.node.evaluate(begin)
    try:
        wait_until(lambda: "resource_limit" in shop.node.evaluate("rabbit_alarm:get_alarms()."), READY, f"the {fault.kind}")
        shop.tend_for(fault.lasts)
    finally:
        shop.node.evaluate(end)
    return f"over after {fault.lasts:.1f} s"


def _lose(shop: Shop, fault: Fault) -> str:
    if fault.kind == "restart PostgreSQL":
        shop.postgres.stop()
        shop.postgres.start()
        return "it is back"
    queue = QUEUE_NAMES[fault.pick % len(QUEUE_NAMES)]
    lose = shop.world.messages.purge if fault.kind.startswith("purge") else shop.world.messages.delete
    try:
        return f"{queue}, {lose(queue)} messages"
    except (OSError, amqp.AMQPError) as error:
        return f"{queue} was not there ({type(error).__name__})"
