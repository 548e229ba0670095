"""The worker's application; an order named by KILL_ORDER kills whoever confirms it, every time, as a bug in C would.

``celery -A tests.crashes.entry:celery worker``.
"""

import os
import signal
from collections.abc import Sequence

from sqlalchemy import Connection

from orderapp.orders import events
from wsgi import app


def kill_who_confirms(order_id: int) -> None:
    """Subscribe a killer to the order's events; inside the settle transaction, like every listener."""

    def listener(_session: Connection, recorded: Sequence[events.OrderEvent]) -> None:
        if any(event.order_id == order_id and event.type == events.CONFIRMED for event in recorded):
            os.kill(os.getpid(), signal.SIGKILL)

    events.subscribe(app, listener)


celery = app.extensions["celery"]
# Celery waits 10 s for a dead process's result before it gives the message back; nothing here depends on how long.
celery.conf.worker_lost_wait = 1
if os.environ.get("KILL_ORDER"):
    kill_who_confirms(int(os.environ["KILL_ORDER"]))
