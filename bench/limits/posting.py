"""What one process sends by a bare loop of requests over one connection: the service's own bodies, nothing signed or kept.

Ends with a line ``rate N``. Fixed: never adjusted to what the service does.
"""

import sys
import time
from itertools import cycle

import requests
from sqlalchemy import text

from orderapp import create_app
from orderapp.database import reading
from orderapp.webhooks.claims import Claim
from orderapp.webhooks.payload import bodies_of

_SOME = text("SELECT id, attempt, order_id, event_id, ping_id, created_at FROM webhook_deliveries ORDER BY id LIMIT :count")


def bodies(count: int) -> list[bytes]:
    """Return the bodies of the first webhooks."""
    with create_app().app_context(), reading() as session:
        return list(bodies_of(session, [Claim(*row) for row in session.execute(_SOME, {"count": count})]).values())


def main(url: str, count: int, seconds: float) -> float:
    """Post for that long; return the answers per second."""
    ready, done = cycle(bodies(count)), 0
    with requests.Session() as session:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            session.post(url, data=next(ready), headers={"Content-Type": "application/json"}, timeout=15).raise_for_status()
            done += 1
    return done / seconds


if __name__ == "__main__":
    print("rate", main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
