"""What the audit remembers of its clean runs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, DateTime, Identity
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base


class AuditRun(Base):
    """One run that found no violation; the next one begins at its ids."""

    __tablename__ = "audit_runs"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    checked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    everything: Mapped[bool] = mapped_column(Boolean)
    orders: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[int] = mapped_column(BigInteger)
    movement_id: Mapped[int] = mapped_column(BigInteger)
    attempt_id: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[UUID]
    webhooks_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AuditBalance(Base):
    """The sum of a product's movements below the last clean run's ``movement_id``."""

    __tablename__ = "audit_balances"

    product_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    units: Mapped[int] = mapped_column(BigInteger)
