"""What the doctor asks RabbitMQ: over AMQP, as relay and worker do; more where its management API answers."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from config_kinds import nodes
from orderapp.monitoring.checkup import Finding, fault, first_line, ok, warning
from orderapp.monitoring.doctor import Management, NoManagementError
from orderapp.outbox import inspection
from orderapp.outbox.inspection import QueueState
from orderapp.outbox.receipts import BrokerOutageError
from orderapp.queues import DEAD_QUEUE, DELIVERY_LIMIT, QUEUE_NAMES, TASKS

# Major and minor number of the oldest release that the tests run on: the first with everything that queues.py asks for.
OLDEST = (3, 10)

# Seconds that a worker may hold a message: one that it runs, behind another one, both up to the longest time limit.
LONGEST_HOLD = 2 * max(task.time_limit for task in TASKS.values())

# What ends messages behind our back. No order is lost by it: the rescuers send again, late.
FATAL_POLICIES = ("message-ttl", "expires", "max-length", "max-length-bytes")

# Deliveries below which an outage of the database of some seconds, in which tasks give their messages back, kills messages.
FEWEST_DELIVERIES = 20


def server(broker_url: str) -> Iterator[Finding]:
    """Check that the broker is reachable and new enough."""
    try:
        found = inspection.server(broker_url)
    except BrokerOutageError as error:
        remedy = "start RabbitMQ, or mend CELERY_BROKER_URL (user, virtual host); orders wait in the outbox meanwhile"
        yield fault("broker", f"not reachable at {_place(broker_url)}: {first_line(error)}", remedy)
        return
    words = f"{found.product} {found.version} at {_place(broker_url)}"
    if _numbers(found.version) < OLDEST:
        yield fault("broker", words, f"upgrade to RabbitMQ {'.'.join(map(str, OLDEST))} or newer")
    else:
        yield ok("broker", words)


def _place(broker_url: str) -> str:
    parts = map(urlsplit, nodes(broker_url))
    return ", ".join(f"{one.hostname}:{one.port or (5671 if one.scheme == 'amqps' else 5672)}" for one in parts)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def queues(broker_url: str) -> Iterator[Finding]:
    """Check that each queue has the type, delivery limit and dead-letter wiring that queues.py declares."""
    for state in inspection.queue_states(broker_url):
        yield _queue(f"queue {state.name}", state)


def _queue(check: str, state: QueueState) -> Finding:
    words = f"{state.messages} message(s), {state.consumers} consumer(s)"
    if not state.exists:
        return warning(check, "not there yet", "start the relay: it declares all with its first message")
    if state.difference is not None:
        remedy = "delete it when it is empty; the relay declares it anew"
        return fault(check, f"declared otherwise: {state.difference}", remedy)
    if state.name == DEAD_QUEUE:
        return warning(check, words, "see why: flask outbox dead") if state.messages else ok(check, words)
    if not state.consumers and state.messages:
        return warning(check, words, f"start a worker: celery -A celery_worker worker -Q {state.name}")
    return ok(check, f"{words}; type, limit and dead letters as declared")


def exchange(broker_url: str, name: str) -> Iterator[Finding]:
    """Check that the exchange for other services is as the relay declares it."""
    state, check = inspection.exchange_state(broker_url, name), f"exchange {name}"
    if not state.exists:
        yield warning(check, "not there yet", "start the relay: it declares it with its first event")
    elif state.difference is not None:
        yield fault(check, f"declared otherwise: {state.difference}", "delete it; the relay declares it anew")
    else:
        yield ok(check, "topic, durable")


def confirms(broker_url: str) -> Iterator[Finding]:
    """Check that what is published is confirmed, and that what finds no queue comes back."""
    try:
        seconds = inspection.time_to_confirm(broker_url)
    except inspection.NoConfirmError as error:
        yield fault("confirms", str(error), "see RabbitMQ's alarms and log; messages wait in the outbox meanwhile")
    else:
        yield ok("confirms", f"returned and confirmed in {seconds * 1000:.0f} ms")


def management(api: Management) -> Iterator[Finding]:
    """Look for alarms, full disks and harmful policies, where the management API tells of them."""
    try:
        nodes, found = api.get("nodes"), api.queues()
    except NoManagementError as error:
        if error.refused:
            remedy = "give the user of CELERY_BROKER_URL the tag monitoring (rabbitmqctl set_user_tags)"
            yield warning("management", str(error), remedy)
        else:
            unseen = f"no alarms or policies are seen; workers hold a message for {LONGEST_HOLD} s, RabbitMQ lets them for 1800"
            yield ok("management", f"{error}: {unseen}")
        return
    yield ok("management", f"answers at {api.url}")
    for node in nodes:
        yield _node(node)
    ours = [queue for queue in found if queue.get("name") in {*QUEUE_NAMES, DEAD_QUEUE}]
    faults = [finding for queue in ours for finding in _policies(queue)]
    yield from faults
    if not faults:
        holds = f"no policy below the {LONGEST_HOLD} s for which a worker may hold a message"
        yield ok("policies", f"{holds}; RabbitMQ's default is 1800, its consumer_timeout cannot be seen from here")


def _node(node: dict[str, Any]) -> Finding:
    check = f"node {node.get('name')}"
    free, limit = node.get("disk_free"), node.get("disk_free_limit")
    words = f"{_size(free)} of disk free, alarm below {_size(limit)}"
    if not node.get("running"):
        return fault(check, "not running", "start it; quorum queues work while most of their nodes do")
    if node.get("partitions"):
        others = ", ".join(map(str, node["partitions"]))
        return fault(check, f"parted from {others}", "mend the network, restart the smaller side")
    if node.get("disk_free_alarm"):
        return fault(check, f"disk alarm: {words}", "make room: nobody may publish until then, messages wait in the outbox")
    if node.get("mem_alarm"):
        return fault(check, "memory alarm", "give it memory, or see which queue is long: nobody may publish until then")
    if isinstance(free, int) and isinstance(limit, int) and free < 2 * limit:
        return warning(check, words, "make room before the alarm stops publishing")
    return ok(check, words)


def _size(octets: Any) -> str:
    return f"{octets / 1024**3:.1f} GiB" if isinstance(octets, int) else "an unknown amount"


def _policies(queue: dict[str, Any]) -> Iterator[Finding]:
    """Yield what policies change for the worse about a queue."""
    policy = queue.get("effective_policy_definition") or {}
    check, remedy = f"policy on {queue['name']}", "exempt this queue from the policy (rabbitmqctl list_policies)"
    for name in FATAL_POLICIES:
        if name in policy:
            yield warning(check, f"{name} = {policy[name]}: messages vanish, their orders wait for the rescuer", remedy)
    deliveries, timeout = policy.get("delivery-limit", DELIVERY_LIMIT), policy.get("consumer-timeout")
    if queue["name"] != DEAD_QUEUE and 0 <= deliveries < FEWEST_DELIVERIES:
        yield fault(check, f"delivery-limit = {deliveries}: an outage of the database kills messages", remedy)
    if timeout is not None and timeout < LONGEST_HOLD * 1000:
        held = f"a worker may hold a message for {LONGEST_HOLD} s"
        yield fault(check, f"consumer-timeout = {timeout} ms: {held}, and then loses its channel", remedy)
