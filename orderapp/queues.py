"""Every task, every queue and how many subjects one message carries: the only list.

A message carries ids and nothing else; what they mean is read from PostgreSQL.
"""

from dataclasses import dataclass

from kombu import Exchange, Queue

ORDERS_PROCESS = "orders.process"
ORDERS_RESCUE = "orders.rescue"
ORDERS_PRUNE = "orders.prune"
WEBHOOKS_DELIVER = "webhooks.deliver"
WEBHOOKS_RESCUE = "webhooks.rescue"
WEBHOOKS_PRUNE = "webhooks.prune"
REPORTS_SUMMARISE = "reports.summarise"
REPORTS_SUMMARISE_DAY = "reports.summarise_day"


@dataclass(frozen=True)
class Task:
    """One kind of message: its queue, the most subject ids in one message (0: it names none), its time limit in seconds."""

    name: str
    queue: str
    batch: int
    time_limit: int
    what: str


# 100 per settle reached 20 times the throughput of one at a time when measured; more than that only lengthens the
# locks on products. 20 deliveries are claimed and recorded together; whatever their receivers do, no task waits for them.
# An order task is killed after 10 s, before its lease of 15 s ends; a delivery is claimed at once and sent by a thread.
# A summary reads one day an hour at a time; five minutes are enough for far more than a million orders.
_ALL = (
    Task(ORDERS_PROCESS, "orders", 100, 10, "claims and settles orders"),
    Task(WEBHOOKS_DELIVER, "webhooks", 20, 30, "sends webhooks that are due"),
    Task(ORDERS_RESCUE, "maintenance", 0, 10, "wakes orders whose message or worker was lost"),
    Task(WEBHOOKS_RESCUE, "maintenance", 0, 10, "wakes deliveries whose message or worker was lost"),
    Task(ORDERS_PRUNE, "maintenance", 0, 10, "forgets idempotency keys that are older than a day"),
    Task(WEBHOOKS_PRUNE, "maintenance", 0, 10, "forgets attempts that are older than WEBHOOK_LOG_DAYS"),
    Task(REPORTS_SUMMARISE, "maintenance", 0, 300, "summarises the days whose sales are not up to date"),
    Task(REPORTS_SUMMARISE_DAY, "maintenance", 0, 300, "summarises the sales of one day again"),
)
TASKS: dict[str, Task] = {task.name: task for task in _ALL}
# No queue of RabbitMQ and no task of Celery: the rows of the outbox that go to EVENTS_EXCHANGE, one event in each.
EVENTS = Task("events.publish", "events", 0, 0, "publishes an order's event to other services")

QUEUE_NAMES: tuple[str, ...] = ("orders", "webhooks", "maintenance")

DEAD_QUEUE = "orderapp.dead"

# A lost connection counts as a delivery of every message that was prefetched on it. RabbitMQ 4 drops a message after
# 20 deliveries unless told otherwise. A task gives its message back every 4 to 7 s while PostgreSQL is away: 200 last for
# a quarter of an hour, and the rescuer heals what still dies.
DELIVERY_LIMIT = 200

# Who looks at dead letters gives them back, and that is a delivery: the 21st look would make RabbitMQ 4 drop them.
DEAD_DELIVERY_LIMIT = 1_000_000

# The default exchange routes by queue name: no binding exists that somebody could delete.
_DEFAULT_EXCHANGE = Exchange("")

_DEAD_LETTERING = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_QUEUE,
}


def work_queues() -> list[Queue]:
    """Return the queues that workers consume."""
    return [
        Queue(name, _DEFAULT_EXCHANGE, routing_key=name, durable=True, queue_arguments=_DEAD_LETTERING) for name in QUEUE_NAMES
    ]


def dead_queue() -> Queue:
    """Return the queue of messages that no worker could take."""
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": DEAD_DELIVERY_LIMIT}
    return Queue(DEAD_QUEUE, _DEFAULT_EXCHANGE, routing_key=DEAD_QUEUE, durable=True, queue_arguments=arguments)


def events_exchange(name: str) -> Exchange:
    """Return the exchange to which other services bind queues of theirs."""
    return Exchange(name, type="topic", durable=True)
