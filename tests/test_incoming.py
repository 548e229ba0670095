"""What a worker takes from a queue; tests/journeys/test_hostile_messages.py sends the rest to real workers."""

import json
from typing import Any

import pytest
from celery import Celery

from orderapp.incoming import fault_of
from orderapp.queues import TASKS


class Message:
    """A broker's message as Celery's consumer is handed it."""

    def __init__(self, headers: Any, body: Any) -> None:
        """Hold what the gate looks at, after its way through JSON."""
        self.headers = json.loads(json.dumps(headers))
        self.payload = json.loads(json.dumps(body))


@pytest.fixture
def celery(app: Any) -> Celery:
    """Return the application that beat and the relay send with."""
    celery: Celery = app.extensions["celery"]
    return celery


@pytest.mark.parametrize("name", TASKS)
def test_what_the_relay_sends_is_taken(celery: Celery, name: str) -> None:
    """The relay builds its messages with Celery's own writer."""
    built = celery.amqp.as_task_v2("019a0000-0000-7000-8000-000000000000", name, args=([1],))
    assert fault_of(Message(built.headers, built.body)) is None


@pytest.mark.parametrize("name", TASKS)
def test_what_beat_sends_is_taken(celery: Celery, name: str) -> None:
    """Beat adds the task's time limit and an expiry: refusing them would end every rescue."""
    task = celery.tasks[name]
    built = celery.amqp.as_task_v2(
        "019a0000-0000-7000-8000-000000000000",
        name,
        args=(),
        expires=5,
        time_limit=task.time_limit,
        soft_time_limit=task.soft_time_limit,
    )
    assert fault_of(Message(built.headers, built.body)) is None


@pytest.mark.parametrize("headers", [None, {}, {"task": 1}, {"task": ["orders.process"]}, {"id": "1"}])
def test_a_message_without_a_task_is_refused(headers: Any) -> None:
    """Whatever the headers are, looking at them raises nothing."""
    assert fault_of(Message(headers, [[], {}, {}])) == "it names no task"
