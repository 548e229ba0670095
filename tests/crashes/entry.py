"""The application, except that a process that comes to KILL_POINT ends there by SIGKILL: once, as KILL_MARKER remembers.

KILL_ORDER names an order that kills whoever confirms it, every time: what a bug in a C library does.
``gunicorn tests.crashes.entry:app``, ``celery -A tests.crashes.entry:celery worker``, ``flask --app tests.crashes.entry ...``.
"""

import os
import signal
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from orderapp.orders import events
from wsgi import app

# Where a process can be killed: the function, and whether just before it or just after it.
POINTS = {
    "web: after the commit, before the response": ("orderapp.orders.placing:place_order", "after"),
    "relay: after the claim": ("orderapp.outbox.broker:AmqpPublisher.publish", "before"),
    "relay: between publish and confirm": ("orderapp.outbox.broker:AmqpPublisher._send", "after"),
    "relay: between confirm and delete": ("orderapp.outbox.broker:AmqpPublisher.publish", "after"),
    "worker: after the claim": ("orderapp.orders.processing:_settle", "before"),
    "worker: inside settle, before its commit": ("orderapp.orders.states:settle", "after"),
    "worker: after settle, before the ack": ("orderapp.orders.processing:process_orders", "after"),
    "webhook: between claim and POST": ("orderapp.webhooks.sending:_send", "before"),
    "webhook: between POST and record": ("orderapp.webhooks.sending:_record", "before"),
    "rescue of orders": ("orderapp.orders.rescuing:enqueue_many", "before"),
    "rescue of webhooks": ("orderapp.webhooks.rescuing:enqueue_many", "before"),
}


def arm(point: str, marker: Path) -> None:
    """Wrap the function of this kill point."""
    place, when = POINTS[point]
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, _deadly(getattr(owner, name), when, marker))


def _deadly(function: Callable[..., Any], when: str, marker: Path) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die_once(marker)
            return function(*args, **kwargs)
        result = function(*args, **kwargs)
        die_once(marker)
        return result

    return wrapped


def die_once(marker: Path) -> None:
    """End this process as the kernel would, unless some process did before."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def kill_who_confirms(order_id: int) -> None:
    """Subscribe a killer to the order's events; inside the settle transaction, like every listener."""

    def listener(_session: Session, recorded: Sequence[events.OrderEvent]) -> None:
        if any(event.order_id == order_id and event.type == events.CONFIRMED for event in recorded):
            os.kill(os.getpid(), signal.SIGKILL)

    events.subscribe(app, listener)


celery = app.extensions["celery"]
if os.environ.get("KILL_POINT"):
    arm(os.environ["KILL_POINT"], Path(os.environ["KILL_MARKER"]))
    # Celery waits 10 s for a dead process's result before it gives the message back; nothing here depends on how long.
    celery.conf.worker_lost_wait = 1
if os.environ.get("KILL_ORDER"):
    kill_who_confirms(int(os.environ["KILL_ORDER"]))
