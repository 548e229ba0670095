"""What a worker takes from a queue: a message as our relay or beat sends it, and nothing else.

Celery unpacks a message in the worker's first process, outside of any task. One with an empty body, or with stamps of the
wrong type, ended every worker it was delivered to, one after the other; one with an ``eta`` would hold a worker's place
until then. So each is looked at before Celery does.
"""

from typing import Any
from uuid import UUID

from orderapp.database import LAST_ID
from orderapp.errors import BadMessageError
from orderapp.queues import TASKS

# What Celery offers to senders and nobody here sends: delays live in PostgreSQL, time limits in queues.py, and what
# follows a task is decided by the task.
UNUSED = (
    "shadow",
    "eta",
    "group",
    "group_index",
    "retries",
    "stamped_headers",
    "stamps",
    "replaced_task_nesting",
    "callbacks",
    "errbacks",
    "chain",
    "chord",
)


def fault_of(message: Any) -> str | None:
    """Return why no worker can take this message, or None. Whether its task takes these arguments is seen later."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    if not isinstance(headers.get("task"), str):
        return "it names no task"
    if headers["task"] not in TASKS:  # Celery brings a few of its own, which run any task that a message names
        return f"this version has no task {headers['task']!r}"
    if not _is_uuid(headers.get("id")):
        return "its task id is no UUID"  # orders.task_id holds it
    for name in UNUSED:
        if headers.get(name):
            return f"it brings {name}, which nobody here sends"
    # beat sends the limit that queues.py gives; a longer one would outlive the lease of an order.
    if headers.get("timelimit") not in (None, [None, None], [TASKS[headers["task"]].time_limit, None]):
        return "it brings a time limit of its own"
    return _fault_of_body(message)


def _fault_of_body(message: Any) -> str | None:
    try:
        body = message.payload
    except Exception as error:  # noqa: BLE001 - the log's reader sees it; a body can be wrong in as many ways as there are codecs
        return f"cannot decode: {error}"
    match body:
        case [list(), dict(), dict(embedded)] if not any(embedded.values()):
            return None
        case [list(), dict(), dict(embedded)]:
            return f"it brings {', '.join(name for name in embedded if embedded[name])}, which nobody here sends"
    return "its body is not [args, kwargs, embed]"


def _is_uuid(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(UUID(text))
    except ValueError:
        return False


def message_ids(task: str, ids: Any) -> list[int]:
    """Return the subject ids of a message, each once. Raises BadMessageError unless it is what our relay sends."""
    limit = TASKS[task].batch
    if not isinstance(ids, list) or not 1 <= len(ids) <= limit:
        raise BadMessageError(f"{task} takes a list of 1 to {limit} ids")
    # type() and not isinstance(): True is an int to Python.
    if not all(type(one) is int and 0 < one <= LAST_ID for one in ids):
        raise BadMessageError(f"{task} takes positive 64-bit ids")
    return sorted(set(ids))
