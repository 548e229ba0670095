"""What has to be true before this process should get traffic, and what an audit should mention."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from config import ROOT
from orderapp.database import is_outage

_REVISION = text("SELECT version_num FROM alembic_version")

_VERSIONED = text("SELECT to_regclass('alembic_version') IS NOT NULL")

_PARKED = text("""
SELECT count(*) AS count, (array_agg(id ORDER BY id))[1 : :most] AS ids FROM outbox WHERE parked_at IS NOT NULL
""")

_NOBODY_TOLD = text("""
SELECT NOT EXISTS (SELECT 1 FROM webhook_deliveries)
    AND EXISTS (SELECT 1 FROM order_events WHERE type IN ('order.confirmed', 'order.failed', 'order.cancelled'))
""")


@dataclass(frozen=True)
class DatabaseState:
    """Whether the database serves this code, how long it took to say so, and at which migration it is."""

    fault: str | None
    milliseconds: float
    migration: str | None = None


@cache  # the code does not change while it runs, and reading all migrations takes longer than the question itself
def newest_migration() -> str:
    """Return the revision that this code needs."""
    return ScriptDirectory(str(ROOT / "migrations")).get_current_head() or ""


def is_ahead(revision: str | None) -> bool:
    """Tell whether a later version brought the tables there. Migrations are numbered, and only add: this code works on them."""
    return revision is not None and revision > newest_migration()


def revision(session: Connection) -> str | None:
    """Return the revision of the tables; None when there are none."""
    found: str | None = session.scalar(_REVISION) if session.scalar(_VERSIONED) else None
    return found


def database_state(session: Connection) -> DatabaseState:
    """Return whether the database serves this code."""
    began = time.perf_counter()
    try:
        revision = session.scalar(_REVISION)
    except SQLAlchemyError as error:
        reason = "unreachable" if is_outage(error) else "the tables are missing: run `flask db upgrade`"
        return DatabaseState(f"database: {reason}", _since(began))
    newest = newest_migration()
    behind = f"database: at migration {revision}, this code needs {newest}: run `flask db upgrade`"
    return DatabaseState(None if revision == newest or is_ahead(revision) else behind, _since(began), revision)


def _since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def parked(session: Connection, most: int) -> tuple[int, list[int]]:
    """Return how many outbox rows are parked, and the first ids."""
    row: Any = session.execute(_PARKED, {"most": most}).one()
    return row.count, row.ids or []


def nobody_was_told(session: Connection) -> bool:
    """Tell whether orders were settled and not one of them has a webhook delivery."""
    return bool(session.scalar(_NOBODY_TOLD))
