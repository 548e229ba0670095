"""Act: the operator decides about messages that could not be published."""

from sqlalchemy import text

from orderapp.database import writing
from orderapp.errors import NotFoundError

_RETRY = text("""
UPDATE outbox SET parked_at = NULL, error = NULL, available_at = clock_timestamp()
WHERE id = ANY(:ids) AND parked_at IS NOT NULL RETURNING id
""")

_DISCARD = text("DELETE FROM outbox WHERE id = ANY(:ids) AND parked_at IS NOT NULL RETURNING id")


def retry_parked(message_ids: list[int]) -> int:
    """Let the relay try these parked messages again; returns how many. Raises NotFoundError when one is not parked."""
    return _change(_RETRY, message_ids)


def discard_parked(message_ids: list[int]) -> int:
    """Delete these parked messages for good; returns how many. Raises NotFoundError when one is not parked.

    An order or delivery that is still open is not lost with it: the rescuers write a new message.
    """
    return _change(_DISCARD, message_ids)


def _change(statement: object, message_ids: list[int]) -> int:
    with writing() as session:
        changed = set(session.scalars(statement, {"ids": message_ids}))  # type: ignore[call-overload]
        missing = sorted(set(message_ids) - changed)
        if missing:
            raise NotFoundError(f"not parked: {', '.join(map(str, missing))}; nothing was changed")
    return len(changed)
