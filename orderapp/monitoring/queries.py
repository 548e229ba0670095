"""What has to be true before this process should get traffic, and what an audit should mention."""

from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

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


def newest_migration() -> str:
    """Return the revision that this code needs."""
    return ScriptDirectory(str(ROOT / "migrations")).get_current_head() or ""


def revision(session: Session) -> str | None:
    """Return the revision of the tables; None when there are none."""
    found: str | None = session.scalar(_REVISION) if session.scalar(_VERSIONED) else None
    return found


def database_fault(session: Session) -> str | None:
    """Return what keeps the database from serving this code, or None."""
    try:
        revision = session.scalar(_REVISION)
    except SQLAlchemyError as error:
        reason = "unreachable" if is_outage(error) else "the tables are missing: run `flask db upgrade`"
        return f"database: {reason}"
    newest = newest_migration()
    return (
        None if revision == newest else f"database: at migration {revision}, this code needs {newest}: run `flask db upgrade`"
    )


def parked(session: Session, most: int) -> tuple[int, list[int]]:
    """Return how many outbox rows are parked, and the first ids."""
    row: Any = session.execute(_PARKED, {"most": most}).one()
    return row.count, row.ids or []


def nobody_was_told(session: Session) -> bool:
    """Tell whether orders were settled and not one of them has a webhook delivery."""
    return bool(session.scalar(_NOBODY_TOLD))
