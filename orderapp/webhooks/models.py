"""Webhook endpoints, deliveries to them, and what became of each attempt."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, DateTime, ForeignKey, Identity, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base


class WebhookEndpoint(Base):
    """A receiver: who owns it, where it is, how it signs, and the state of its circuit breaker."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("webhook_endpoints_client", "client_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(start=2), primary_key=True)
    client_id: Mapped[int | None] = mapped_column(ForeignKey("api_clients.id"))
    url: Mapped[str | None] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    description: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(Boolean)
    active_since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    failures: Mapped[int] = mapped_column(Integer)
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    open_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class WebhookDelivery(Base):
    """One event on its way to one endpoint; ``due_at`` and ``lease_until`` are the truth, its message only wakes a worker.

    A ping has ``ping_id`` instead of an event; ``resend_of`` names the succeeded delivery that an operator repeats.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("webhook_deliveries_order", "order_id"),
        Index("webhook_deliveries_once", "event_id", "endpoint_id", unique=True, postgresql_where=text("resend_of IS NULL")),
        Index("webhook_deliveries_endpoint", "endpoint_id", "id"),
        Index("webhook_deliveries_given_up", "state", "id", postgresql_where=text("state IN ('exhausted', 'disabled')")),
        Index("webhook_deliveries_leased", "endpoint_id", postgresql_where=text("lease_until IS NOT NULL")),
        Index("webhook_deliveries_waiting", "endpoint_id", "due_at", postgresql_where=text("waiting")),
        Index("webhook_deliveries_open", "rescue_at", postgresql_where=text("state = 'pending' AND NOT waiting")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("webhook_endpoints.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    event_id: Mapped[UUID | None] = mapped_column(ForeignKey("order_events.id"))
    ping_id: Mapped[UUID | None]
    resend_of: Mapped[int | None] = mapped_column(ForeignKey("webhook_deliveries.id"))
    state: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    run: Mapped[UUID | None]
    waiting: Mapped[bool] = mapped_column(Boolean)
    lease_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rescue_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    rescues: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    log_pruned: Mapped[bool] = mapped_column(Boolean)


class WebhookAttempt(Base):
    """One POST to the endpoint and the beginning of its answer."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (UniqueConstraint("delivery_id", "attempt"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("webhook_deliveries.id"))
    attempt: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    duration_ms: Mapped[int] = mapped_column(Integer)
    status_code: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[str | None] = mapped_column(Text)
