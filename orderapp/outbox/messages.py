"""Enqueueing: a row in the caller's transaction, as short as RQ's ``queue.enqueue(func, arg)``.

The message exists exactly when the change it is about was committed. No broker is involved.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from orderapp import traces
from orderapp.database import LAST_ID, current_act
from orderapp.logs import current_request_id
from orderapp.queues import EVENTS, TASKS, Task

# Bytes. Messages carry ids; RabbitMQ's own limit is 16 MiB, and one that large would stall its neighbours.
LARGEST_ARGUMENTS = 64 * 1024

# An escaped NUL, but not the text "\\u0000" with its backslash escaped.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

# Binds :queue, :task, :headers and :available_at (null: now); the caller adds the SELECT that gives (subject_id, args).
INSERT = """INSERT INTO outbox (queue, task, headers, available_at, subject_id, args)
SELECT :queue, :task, CAST(:headers AS jsonb), coalesce(CAST(:available_at AS timestamptz), clock_timestamp()),
    subject_id, args"""

_ENQUEUE_MANY = text(
    f"{INSERT} FROM unnest(CAST(:subject_ids AS bigint[])) AS s(subject_id), (VALUES (CAST('[]' AS jsonb))) AS a(args)"
)
_ENQUEUE_EVENTS = text(
    f"{INSERT} FROM (SELECT order_id AS subject_id, jsonb_build_array(event_id) AS args"
    " FROM unnest(CAST(:order_ids AS bigint[]), CAST(:event_ids AS text[])) AS e(order_id, event_id)) AS s"
)
_ENQUEUE = text(f"{INSERT} FROM (VALUES (CAST(NULL AS bigint), CAST(:args AS jsonb))) AS s(subject_id, args)")


class EnqueueError(Exception):
    """The call is wrong: unknown task, wrong or too large arguments, or no transaction to join."""


def enqueue(task: str, *args: Any, available_at: datetime | None = None) -> None:
    """Write one message: ``enqueue(ORDERS_PROCESS, order_id)``.

    A task that works on subjects takes exactly one id; the relay may gather several rows into one message. Any other
    task takes JSON arguments. ``available_at`` (with time zone) delays it. Raises EnqueueError.
    """
    spec = _known(task)
    if spec.batch:
        if len(args) != 1:
            raise EnqueueError(f"{task} takes exactly one id, not {len(args)} arguments")
        enqueue_many(task, [args[0]], available_at=available_at)
        return
    _insert(_ENQUEUE, spec, available_at, args=_as_json(task, args))


def enqueue_many(task: str, subject_ids: Sequence[int], *, available_at: datetime | None = None) -> None:
    """Write one message per id in one statement. Raises EnqueueError."""
    spec = _known(task)
    if not spec.batch:
        raise EnqueueError(f"{task} takes arguments, not subject ids")
    for subject_id in subject_ids:
        if type(subject_id) is not int or not 0 < subject_id <= LAST_ID:  # a bool is an int to isinstance
            raise EnqueueError(f"{task} takes a positive 64-bit integer id, not {subject_id!r}")
    if subject_ids:
        _insert(_ENQUEUE_MANY, spec, available_at, subject_ids=list(subject_ids))


def enqueue_events(events: Sequence[tuple[int, UUID]]) -> None:
    """Write one message for other services per (order id, event id), in one statement. Raises EnqueueError."""
    if events:
        order_ids, event_ids = [order_id for order_id, _ in events], [str(event_id) for _, event_id in events]
        _insert(_ENQUEUE_EVENTS, EVENTS, None, order_ids=order_ids, event_ids=event_ids)


def parameters(task: str, available_at: datetime | None = None) -> dict[str, Any]:
    """Return what ``INSERT`` binds, for an act that makes the row part of a larger statement of its own."""
    return _parameters(_known(task), available_at)


def _parameters(spec: Task, available_at: datetime | None) -> dict[str, Any]:
    if available_at is not None and available_at.utcoffset() is None:
        raise EnqueueError("available_at needs a time zone")
    request_id = current_request_id()
    headers = ({"request_id": request_id} if request_id else {}) | traces.headers()
    return {"queue": spec.queue, "task": spec.name, "headers": orjson.dumps(headers).decode(), "available_at": available_at}


def _known(task: str) -> Task:
    spec = TASKS.get(task)
    if spec is None:
        raise EnqueueError(f"unknown task {task!r}; orderapp/queues.py lists all: {', '.join(TASKS)}")
    return spec


def _as_json(task: str, args: tuple[Any, ...]) -> str:
    try:
        # json refuses what orjson would silently turn into something else: dates, UUIDs, NaN. orjson refuses what
        # PostgreSQL or the relay would: half surrogates, integers beyond 64 bits, keys that are no texts.
        json.dumps(args, allow_nan=False)
        encoded = orjson.dumps(args)
    except (TypeError, ValueError, RecursionError) as error:
        raise EnqueueError(f"the arguments of {task} are not JSON: {error}") from error
    if len(encoded) > LARGEST_ARGUMENTS:
        raise EnqueueError(
            f"the arguments of {task} take {len(encoded)} bytes, more than {LARGEST_ARGUMENTS}: store them, send an id"
        )
    if _NUL.search(encoded):
        raise EnqueueError(f"the arguments of {task} hold a NUL character, which PostgreSQL cannot store")
    return encoded.decode()


def _insert(statement: Any, spec: Task, available_at: datetime | None, **values: Any) -> None:
    session = current_act()
    if session is None:
        raise EnqueueError("enqueue() belongs inside writing(): a message without a transaction could be lost or lie")
    session.execute(statement, _parameters(spec, available_at) | values)
