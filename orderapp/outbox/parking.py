"""Act: the operator decides about messages that could not be published."""

from typing import Any

from sqlalchemy import TextClause, text

from orderapp import audit
from orderapp.database import writing
from orderapp.errors import NotFoundError

# What the audit log keeps of the message: after a discard it is all there is.
_PARKED = text("""
SELECT id, queue, task, subject_id, args, error FROM outbox
WHERE id = ANY(:ids) AND parked_at IS NOT NULL ORDER BY id FOR NO KEY UPDATE
""")

_RETRY = text("UPDATE outbox SET parked_at = NULL, error = NULL, available_at = clock_timestamp() WHERE id = ANY(:ids)")

_DISCARD = text("DELETE FROM outbox WHERE id = ANY(:ids)")


def retry_parked(message_ids: list[int], actor: str = "system", reason: str | None = None) -> int:
    """Let the relay try these parked messages again; returns how many. Raises NotFoundError when one is not parked."""
    return _change(_RETRY, "retry", message_ids, actor, reason)


def discard_parked(message_ids: list[int], actor: str = "system", reason: str | None = None) -> int:
    """Delete these parked messages for good; returns how many. Raises NotFoundError when one is not parked.

    An order or delivery that is still open is not lost with it: the rescuers write a new message. An event of the queue
    ``events`` has no rescuer: the services behind EVENTS_EXCHANGE never hear of it.
    """
    return _change(_DISCARD, "discard", message_ids, actor, reason)


def _change(statement: TextClause, action: str, message_ids: list[int], actor: str, reason: str | None) -> int:
    with writing() as session:
        parked: dict[int, dict[str, Any]] = {
            row["id"]: dict(row) for row in session.execute(_PARKED, {"ids": message_ids}).mappings()
        }
        missing = sorted(set(message_ids) - set(parked))
        if missing:
            raise NotFoundError(f"not parked: {', '.join(map(str, missing))}; nothing was changed")
        session.execute(statement, {"ids": list(parked)})
        for message_id, message in parked.items():
            audit.record(session, audit.Change(actor, action, "message", message_id, message, None, reason))
    return len(parked)
