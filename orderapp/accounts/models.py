"""Who places orders."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column

from orderapp.database import Base

# The first migration inserts this row; orders placed without a key belong to it.
ANONYMOUS_CLIENT_ID = 1


class ApiClient(Base):
    """An owner of orders."""

    __tablename__ = "api_clients"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
