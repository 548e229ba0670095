"""Orders, their lines and their public history."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base


class Order(Base):
    """One order; its status moves only through ``states.py``."""

    __tablename__ = "orders"
    __table_args__ = (
        Index("orders_client", "client_id", "created_at", "id"),
        Index("orders_client_status", "client_id", "status", "created_at", "id"),
        Index(
            "orders_client_reference",
            "client_id",
            "reference",
            "created_at",
            "id",
            postgresql_where=text("reference IS NOT NULL"),
        ),
        Index("orders_settled", "settled_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
        Index("orders_ended", "status", "id", postgresql_where=text("status IN ('failed', 'cancelled')")),
        Index("orders_open", "rescue_at", postgresql_where=text("status IN ('pending', 'processing')")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("api_clients.id"))
    reference: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    total_amount: Mapped[Decimal | None] = mapped_column(Numeric(22, 2))
    currency: Mapped[str] = mapped_column(Text)
    failure_reason: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    webhook_sent: Mapped[bool] = mapped_column(Boolean)
    task_id: Mapped[UUID | None]
    claimed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    attempts: Mapped[int] = mapped_column(Integer)
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rescue_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rescues: Mapped[int] = mapped_column(Integer)
    last_sequence: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    settled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class OrderItem(Base):
    """One line of an order: a product once, at the price quoted when it was placed. Never changed."""

    __tablename__ = "order_items"
    __table_args__ = (
        UniqueConstraint("order_id", "product_id"),
        Index("order_items_product", "product_id", "order_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit_price: Mapped[Decimal] = mapped_column(Numeric(12, 2))


class OrderEvent(Base):
    """What happened to an order, as the outside hears of it; the id is the webhook-id."""

    __tablename__ = "order_events"
    __table_args__ = (
        UniqueConstraint("order_id", "sequence"),
        Index("order_events_unplaced", "order_id", "sequence", postgresql_where=text("position IS NULL")),
        Index("order_events_cancelled", "occurred_at", postgresql_where=text("type = 'order.cancelled'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    sequence: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)


class IdempotencyKey(Base):
    """The answer to a POST, to be given again when it is repeated under its key."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_created", "created_at"),)

    client_id: Mapped[int] = mapped_column(ForeignKey("api_clients.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    response: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
