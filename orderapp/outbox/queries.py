"""Reading the outbox."""

from typing import Any

from sqlalchemy import Connection, text

_STATUS = text("""
SELECT queue,
    count(*) FILTER (WHERE parked_at IS NULL AND available_at <= now()) AS due,
    count(*) FILTER (WHERE parked_at IS NULL AND available_at > now()) AS later,
    count(*) FILTER (WHERE parked_at IS NOT NULL) AS parked,
    coalesce(extract(epoch FROM now() - min(available_at) FILTER (WHERE parked_at IS NULL AND available_at <= now())), 0)::float
        AS oldest_seconds
FROM outbox GROUP BY queue ORDER BY queue
""")

_PARKED = text("""
SELECT id, queue, task, subject_id, args, parked_at, error FROM outbox WHERE parked_at IS NOT NULL ORDER BY id LIMIT :limit
""")


def status(session: Connection, queues: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return per queue how many messages are due, wait for later or are parked, and the age of the oldest due, in seconds.

    A queue that only another version serves follows: nobody else would say that messages wait there.
    """
    found = {row["queue"]: dict(row) for row in session.execute(_STATUS).mappings()}
    nothing = {"due": 0, "later": 0, "parked": 0, "oldest_seconds": 0.0}
    return [found.pop(queue, {"queue": queue, **nothing}) for queue in queues] + list(found.values())


def parked(session: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the oldest parked messages."""
    return [dict(row) for row in session.execute(_PARKED, {"limit": limit}).mappings()]
