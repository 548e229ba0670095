"""What lies in ``orderapp.dead`` and why: looked at from the head of the queue, taken out by nobody.

A rejected message carries no reason. So each is judged again by the rules that made a worker refuse it; what is well formed
died of its task's failure, which the log has, or of too many deliveries.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from amqp.exceptions import NotFound

from orderapp import incoming
from orderapp.errors import BadMessageError
from orderapp.incoming import message_ids
from orderapp.outbox import broker
from orderapp.queues import DEAD_QUEUE, TASKS

# The oldest thousand show what is wrong. Always as many: RabbitMQ puts what comes back behind what came back before, so that
# a look at fewer than the last one would change the order.
MOST_LOOKED_AT = 1000

# Seconds without a message after which the missing ones are taken to be in other hands; they come at once.
SILENCE = 1

# What RabbitMQ calls the ways to die, in our words; the other ways are none of ours.
_DEATHS = {
    "rejected": "its task failed: see the log of that time",
    "delivery_limit": "given back or lost with its worker too often",
}


@dataclass(frozen=True)
class Reason:
    """Why some messages are dead: how many, of which queue and task, when, and the task id of one."""

    reason: str
    queue: str | None
    task: str | None
    messages: int
    first: datetime | None
    last: datetime | None
    task_id: str | None


@dataclass(frozen=True)
class DeadLetters:
    """How many there are, at how many of them was looked, and why these died, most frequent reason first."""

    messages: int
    looked_at: int
    reasons: tuple[Reason, ...]


def count(broker_url: str) -> int:
    """Return how many dead letters there are. Raises BrokerOutageError."""
    with broker.connected(broker_url) as connection:
        return _waiting(connection.channel())


def look(broker_url: str, tasks: Mapping[str, Any]) -> DeadLetters:
    """Return the reasons of the first dead letters; all stay, in their order. Raises BrokerOutageError."""
    with broker.connected(broker_url) as connection:
        channel = connection.channel()
        waiting = _waiting(channel)
        messages = _messages(channel, min(MOST_LOOKED_AT, waiting)) if waiting else []
        seen = [_judged(message, tasks) for message in messages]
        # Not acknowledged, so that the queue has them back at its head. Closing, because RabbitMQ from 4.3 on counts a
        # message that is rejected as a failed delivery, and not one whose channel ends.
        channel.close()
    return DeadLetters(waiting, len(seen), tuple(_grouped(seen)))


def _waiting(channel: Any) -> int:
    try:
        return int(channel.queue_declare(DEAD_QUEUE, passive=True).message_count)
    except NotFound:  # the first relay declares it
        return 0


def _messages(channel: Any, wanted: int) -> list[Any]:
    """Return that many messages; fewer when somebody else looks at them now."""
    arrived: list[Any] = []
    channel.basic_qos(prefetch_size=0, prefetch_count=MOST_LOOKED_AT, a_global=False)
    # One consumer, not one basic_get each: what a consumer gives back keeps its order, single ones do not.
    channel.basic_consume(DEAD_QUEUE, callback=arrived.append)
    with suppress(TimeoutError):
        while len(arrived) < wanted:
            channel.connection.drain_events(timeout=SILENCE)
    return [channel.message_to_python(raw) for raw in arrived]


def _judged(message: Any, tasks: Mapping[str, Any]) -> Reason:
    message.accept = {"application/json"}  # as our workers do
    death = _first_death(message.headers)
    name, task_id = (_text(message.headers.get(header)) for header in ("task", "id"))
    when = death.get("time")
    moment = when.replace(tzinfo=UTC) if isinstance(when, datetime) else None
    how = _text(death.get("reason")) or "unknown"
    reason = _fault_of(message, tasks) or _DEATHS.get(how, how)
    return Reason(reason, _text(death.get("queue")), name, 1, moment, moment, task_id)


def _first_death(headers: Any) -> dict[str, Any]:
    """Return where and how it died; a stranger may have sent a header of that name with anything in it."""
    deaths = headers.get("x-death")
    return deaths[-1] if isinstance(deaths, list) and deaths and isinstance(deaths[-1], dict) else {}


def _fault_of(message: Any, tasks: Mapping[str, Any]) -> str | None:
    if message.errors:  # Kombu found them while it unpacked the message, as (type, error, traceback)
        return f"cannot decode: {message.errors[0][1]}"
    fault = incoming.fault_of(message)
    if fault:
        return fault
    name, (args, kwargs, _embedded) = message.headers["task"], message.payload
    try:
        bound = tasks[name].bound(args, kwargs)
        if TASKS[name].batch:
            message_ids(name, *bound.args)
    except BadMessageError as error:
        return str(error)
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _grouped(seen: list[Reason]) -> list[Reason]:
    alike: dict[tuple[Any, ...], list[Reason]] = {}
    for one in seen:
        alike.setdefault((one.reason, one.queue, one.task), []).append(one)
    together = [_together(members) for members in alike.values()]
    return sorted(together, key=lambda reason: -reason.messages)


def _together(members: list[Reason]) -> Reason:
    moments = [one.first for one in members if one.first is not None]
    first, last = (min(moments), max(moments)) if moments else (None, None)
    return replace(members[-1], messages=len(members), first=first, last=last)
