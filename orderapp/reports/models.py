"""Daily sales."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, Numeric, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base


class DailySales(Base):
    """One day in REPORT_TIMEZONE and one currency; computed from the orders, and again when these change."""

    __tablename__ = "daily_sales"

    day: Mapped[date] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(Text, primary_key=True)
    orders: Mapped[int] = mapped_column(Integer)
    items: Mapped[int] = mapped_column(BigInteger)
    revenue: Mapped[Decimal] = mapped_column(Numeric(28, 2))
    failed: Mapped[int] = mapped_column(Integer)
    cancelled: Mapped[int] = mapped_column(Integer)
    average: Mapped[Decimal] = mapped_column(Numeric(22, 2))
    top_products: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    summarised_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
