"""What a search and a day mean in terms of the orders' primary key: the only index that holds all of them in their order."""

from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import Connection, text

from orderapp.admin import moments
from orderapp.admin.filters import number_in
from orderapp.admin.queries import PAGE
from orderapp.reports.days import ONE_DAY

# Client by client: every index of references begins with the client.
_NAMED = text("""
SELECT id FROM orders WHERE id = :number
UNION
SELECT named.id FROM api_clients CROSS JOIN LATERAL (
    SELECT id FROM orders WHERE client_id = api_clients.id AND reference = :words ORDER BY created_at DESC, id DESC LIMIT :most
) AS named
LIMIT :most
""")


def orders_named(session: Connection, words: str) -> list[int]:
    """Return the orders of this number or of exactly this reference, a page of them at the most."""
    return list(session.scalars(_NAMED, {"number": number_in(words), "words": words, "most": PAGE}))


def ids_of_days(session: Connection, since: date | None, until: date | None) -> dict[str, Any]:
    """Return between which ids the orders of these days (of UTC, both included) are to be looked for."""
    ids = {}
    if since is not None:
        ids["since_id"] = moments.first_since(session, "orders", "created_at", datetime.combine(since, time(), UTC))
    if until is not None and until < date.max:
        ids["until_id"] = moments.end_before(session, "orders", "created_at", datetime.combine(until + ONE_DAY, time(), UTC))
    return ids
