"""Sends hostile messages to a shop at rest, and judges what became of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import amqp

from orderapp.queues import DEAD_QUEUE
from tests.hostile.changing import Message
from tests.journeys.world import World
from tests.servers.processes import Process
from tests.servers.waiting import wait_until

# Messages that are sent together and judged together: small enough to look through when one of them does harm.
BATCH = 500

# Seconds for so many on a busy machine.
PATIENCE = 240

# The last are Celery's own words: only it judges an expiry.
REFUSED = re.compile(r"message refused|task failed|Received invalid task message")
DISCARDED = "Discarding revoked task"
DONE = re.compile(r'orderapp_task_seconds_count\{outcome="done"')


@dataclass
class Tally:
    """What became of messages."""

    refused: int = 0
    failed: int = 0
    handled: int = 0
    late: int = 0

    def __str__(self) -> str:
        """Return it in words."""
        dead = self.refused + self.failed
        return (
            f"{dead} dead letters, each with its line ({self.failed} with a stack); {self.handled} handled, {self.late} expired"
        )


def judge(shop: World, workers: Sequence[Process], messages: Sequence[Message]) -> Tally:
    """Send them all; returns what became of them. Raises AssertionError when one did harm or left no word."""
    tally = Tally()
    for start in range(0, len(messages), BATCH):
        _judge_batch(shop, workers, messages[start : start + BATCH], tally)
    return tally


def _judge_batch(shop: World, workers: Sequence[Process], batch: Sequence[Message], tally: Tally) -> None:
    before, pids = shop.snapshot(), [one.children for one in workers]
    done_before, said_before = _done(workers), [len(one.text) for one in workers]
    shop.messages.take(DEAD_QUEUE)
    _send(shop, batch)

    def said() -> str:
        return "".join(one.text[start:] for one, start in zip(workers, said_before, strict=True))

    def accounted() -> int:
        return shop.messages.waiting(DEAD_QUEUE) + _done(workers) - done_before + said().count(DISCARDED)

    wait_until(lambda: accounted() >= len(batch), PATIENCE, f"the end of {len(batch)} messages, not of {accounted()}")
    dead = len(shop.messages.take(DEAD_QUEUE))
    words = said()
    lines = len(REFUSED.findall(words))
    assert lines == dead, f"each dead letter has its line in the log: {lines} lines of {dead}"
    assert accounted() + dead == len(batch), "each message came to one end"
    assert shop.snapshot() == before, "nothing changed"
    assert [one.children for one in workers] == pids, "no process ended"
    assert all(one.exit_code is None for one in workers)
    failed = words.count("task failed")
    tally.refused += dead - failed
    tally.failed += failed
    tally.late += words.count(DISCARDED)
    tally.handled += len(batch) - dead - words.count(DISCARDED)


def _done(workers: Sequence[Process]) -> int:
    return sum(int(value) for one in workers for name, value in one.metrics.items() if DONE.match(name))


def _send(shop: World, batch: Sequence[Message]) -> None:
    with shop.messages._channel() as channel:
        channel.confirm_select()
        for one in batch:
            usual = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}
            message = amqp.Message(one.body, application_headers=one.headers, **usual | one.properties)
            channel.basic_publish_confirm(message, routing_key=one.queue, mandatory=True, confirm_timeout=PATIENCE)
