"""Act: events that were committed get their places in the feed.

No event knows its place when it is written: one that got its number first may be committed last, and a reader who had gone
past it would never see it. Places are given afterwards, to what is committed, by one transaction at a time.
"""

from sqlalchemy import text

from orderapp.database import writing

# Events placed at once: ten pages of the feed, and a transaction of about 30 ms.
BATCH = 1_000

# In a statement of its own: the one behind it then sees what the last holder has committed.
_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('orders.positioning'))")

# By order and sequence: whatever the clocks said, and however the batches are cut, an order's events come in their order. An
# event is committed before the next one of its order can be written, so that none can turn up in front of one placed.
_UNPLACED = text("SELECT id FROM order_events WHERE position IS NULL ORDER BY order_id, sequence LIMIT :limit")

_LAST = text("SELECT coalesce(max(position), 0) FROM order_events")

_PLACE = text("""
UPDATE order_events SET position = :last + placed.number
FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS placed(id, number)
WHERE order_events.id = placed.id AND order_events.id = ANY(CAST(:ids AS uuid[]))
""")


def place_events() -> int:
    """Give the next BATCH events their places, without gaps; returns how many there were.

    What was committed before this began has its place afterwards, unless a full batch stood in front of it.
    """
    with writing() as session:
        session.execute(_ALONE)
        ids = [str(event_id) for event_id in session.scalars(_UNPLACED, {"limit": BATCH})]
        if ids:
            session.execute(_PLACE, {"ids": ids, "last": session.execute(_LAST).scalar_one()})
    return len(ids)
