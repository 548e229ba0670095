"""What the lists of the panel read: always one page, found by its key, never counted and never skipped to.

At a million orders a page costs as much as at a hundred; OFFSET and count(*) would not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

# Rows of a page: two screens.
PAGE = 50


@dataclass(frozen=True)
class Listing:
    """A list newest first: where it reads, and the condition that each filter adds."""

    columns: str
    source: str
    key: str
    conditions: Mapping[str, str] = field(default_factory=dict)
    always: str = "true"


@dataclass(frozen=True)
class Window:
    """The rows before (older than) or after (newer than) an id; neither is the newest page."""

    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Page:
    """Rows, newest first, and the ids that the older and the newer page begin at, if there are such pages."""

    rows: Sequence[Row[Any]]
    older: int | None
    newer: int | None


def page_of(session: Session, listing: Listing, wanted: Mapping[str, Any], window: Window) -> Page:
    """Return one page of what is wanted; a filter that is None is not asked for, a value without a condition only bound."""
    used = {name: value for name, value in wanted.items() if value is not None}
    forward = window.after is not None
    conditions = [listing.always, *(listing.conditions[name] for name in used if name in listing.conditions)]
    if forward or window.before is not None:
        conditions.append(f"{listing.key} {'>' if forward else '<'} :edge")
    direction = "ASC" if forward else "DESC"
    statement = (
        f"SELECT {listing.columns} FROM {listing.source} WHERE {' AND '.join(conditions)}"
        f" ORDER BY {listing.key} {direction} LIMIT :limit"
    )
    values = {**used, "edge": window.after if forward else window.before, "limit": PAGE + 1}
    found = session.execute(text(statement), values).all()
    more, rows = len(found) > PAGE, found[:PAGE]
    if forward:
        rows = rows[::-1]
    if not rows:
        return Page(rows, None, None)
    has_older, has_newer = (True, more) if forward else (more, window.before is not None)
    return Page(rows, rows[-1].id if has_older else None, rows[0].id if has_newer else None)


def pattern(words: str) -> str:
    """Return a LIKE pattern for text that contains these words literally."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
