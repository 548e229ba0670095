"""Who changed what: one row per change by hand, written in the transaction of the change."""

import getpass
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Connection, DateTime, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base

_RECORD = text("""
INSERT INTO audit_log (actor, action, subject, subject_id, before, after, reason)
VALUES (:actor, :action, :subject, :subject_id, CAST(:before AS jsonb), CAST(:after AS jsonb), :reason)
""")


class AuditEntry(Base):
    """One change by hand; never changed or deleted."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("audit_log_subject", "subject", "subject_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    reason: Mapped[str | None] = mapped_column(Text)


@dataclass(frozen=True)
class Change:
    """What happened to one subject, such as ("order", 7), by whom and why."""

    actor: str
    action: str
    subject: str
    subject_id: int | None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str | None = None


def record(session: Connection, change: Change) -> None:
    """Write the change down, in the caller's transaction."""
    values = {
        "actor": change.actor,
        "action": change.action,
        "subject": change.subject,
        "subject_id": change.subject_id,
        "before": _json(change.before),
        "after": _json(change.after),
        "reason": change.reason,
    }
    session.execute(_RECORD, values)


def terminal_actor() -> str:
    """Return who sits at the terminal, as the operating system knows them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user may have no name
        return "cli"


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value, default=str).decode()
