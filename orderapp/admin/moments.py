"""Where a moment lies in a table that only grows: found by halving its ids, for no table has an index on every time."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

# Rows get their id before their time, and a webhook's attempt is written up to 20 s after it began: so far may a row's time
# lie from those of its neighbours.
DISORDER = timedelta(seconds=60)

# Some twenty looks at the primary key for a million rows. Gaps in the ids cost nothing: the next row answers for them.
_FIRST = """
WITH RECURSIVE halves (low, high) AS (
    SELECT (SELECT coalesce(min(id), 0) FROM {table}), (SELECT coalesce(max(id), 0) + 1 FROM {table})
    UNION ALL
    SELECT CASE WHEN before THEN middle + 1 ELSE low END, CASE WHEN before THEN high ELSE middle END
    FROM (
        SELECT low, high, middle, (SELECT {column} FROM {table} WHERE id >= middle ORDER BY id LIMIT 1) < :moment AS before
        FROM (SELECT low, high, (low + high) / 2 AS middle FROM halves WHERE low < high) AS half
    ) AS looked
)
SELECT high FROM halves WHERE low >= high
"""


def first_since(session: Connection, table: str, column: str, moment: datetime) -> int:
    """Return an id that no row of this moment or later is below, and few earlier rows are above."""
    return _halved(session, table, column, moment - DISORDER)


def end_before(session: Connection, table: str, column: str, moment: datetime) -> int:
    """Return an id that every row before this moment is below, and few later ones."""
    return _halved(session, table, column, moment + DISORDER)


def _halved(session: Connection, table: str, column: str, moment: datetime) -> int:
    statement = text(_FIRST.format(table=table, column=column))
    return int(session.execute(statement, {"moment": moment}).scalar_one())
