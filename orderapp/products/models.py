"""Products and the ledger of their stock."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base


class Product(Base):
    """Something for sale; ``stock`` is the running sum of its movements and is written by ``stock.py`` only."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    stock: Mapped[int] = mapped_column(BigInteger)
    archived_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class StockMovement(Base):
    """One line of the append-only ledger: opening, restock, sale or return."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        UniqueConstraint("order_id", "product_id", "kind"),
        Index("stock_movements_one_opening", "product_id", unique=True, postgresql_where=text("kind = 'opening'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    # By name, not by class: products is a lower floor than orders.
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    delta: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
