"""The outbox table: a message that waits for the relay."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base


class OutboxMessage(Base):
    """Transport only: the row leaves when the broker has confirmed it, or stays parked with its reason."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_due", "queue", "available_at", "id", postgresql_where=text("parked_at IS NULL")),
        Index("outbox_subject", "subject_id"),
        Index("outbox_parked", "id", postgresql_where=text("parked_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    queue: Mapped[str] = mapped_column(Text)
    task: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[int | None] = mapped_column(BigInteger)
    args: Mapped[list[Any]] = mapped_column(JSONB)
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    available_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    parked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)
