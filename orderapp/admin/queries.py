"""What the lists of the panel read: always one page, found by its key, never counted and never skipped to.

At a million orders a page costs as much as at a hundred; OFFSET and count(*) would not. What no index finds is looked for
among so many rows per page: such a page may be short, and Older looks on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

# Rows of a page: two screens.
PAGE = 50

# Rows that one page looks at where no index helps: about 60 ms.
SCANNED = 50_000


@dataclass(frozen=True)
class Listing:
    """A list newest first: where it reads, and the condition that each filter adds.

    The filters in ``sought`` are answered by no index of ``table``: its rows are looked through, SCANNED per page.
    """

    columns: str
    source: str
    key: str
    conditions: Mapping[str, str] = field(default_factory=dict)
    always: str = "true"
    table: str = ""
    sought: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Window:
    """The rows before (older than) or after (newer than) an id; neither is the newest page."""

    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Page:
    """Rows, newest first, and the keys that the older and the newer page begin at, if there are such pages.

    ``searched`` is set when only the rows down (or up) to this key were looked through.
    """

    rows: Sequence[Row[Any]]
    older: int | None
    newer: int | None
    searched: int | None = None


def page_of(session: Connection, listing: Listing, wanted: Mapping[str, Any], window: Window) -> Page:
    """Return one page of what is wanted; a filter that is None is not asked for, a value without a condition only bound."""
    used = {name: value for name, value in wanted.items() if value is not None}
    forward = window.after is not None
    conditions = [listing.always, *(listing.conditions[name] for name in used if name in listing.conditions)]
    edge = window.after if forward else window.before
    if edge is not None:
        conditions.append(f"{listing.key} {'>' if forward else '<'} :edge")
    searched = _end_of_search(session, listing, edge, forward=forward) if listing.sought & used.keys() else None
    if searched is not None:
        conditions.append(f"{listing.key} {'<=' if forward else '>='} :searched")
    direction = "ASC" if forward else "DESC"
    statement = (
        f"SELECT {listing.columns}, {listing.key} AS page_key FROM {listing.source} WHERE {' AND '.join(conditions)}"
        f" ORDER BY {listing.key} {direction} LIMIT :limit"
    )
    values = {**used, "edge": edge, "searched": searched, "limit": PAGE + 1}
    found = session.execute(text(statement), values).all()
    more, rows = len(found) > PAGE, found[:PAGE]
    first, last = (rows[0].page_key, rows[-1].page_key) if rows else (None, None)
    onward = last if more else searched  # nothing more among these: the search goes on behind them
    if forward:
        return Page(rows[::-1], first, onward, None if more else searched)
    return Page(rows, onward, first if window.before is not None else None, None if more else searched)


def _end_of_search(session: Connection, listing: Listing, edge: int | None, *, forward: bool) -> int | None:
    """Return the last key among the next SCANNED rows of the table; None when there are no more than these."""
    beyond, direction = (">", "ASC") if forward else ("<", "DESC")
    where = f"WHERE id {beyond} :edge" if edge is not None else ""
    statement = text(f"SELECT id FROM {listing.table} {where} ORDER BY id {direction} OFFSET :skipped LIMIT 1")
    found: int | None = session.scalar(statement, {"edge": edge, "skipped": SCANNED - 1})
    return found


def pattern(words: str) -> str:
    """Return a LIKE pattern for text that contains these words literally."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
