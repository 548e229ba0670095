"""What has to be true before this process should get traffic."""

from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from config import ROOT
from orderapp.database import is_outage

_REVISION = text("SELECT version_num FROM alembic_version")


def newest_migration() -> str:
    """Return the revision that this code needs."""
    return ScriptDirectory(str(ROOT / "migrations")).get_current_head() or ""


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
