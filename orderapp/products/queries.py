"""Reading products."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

_NAMES = text("SELECT id FROM products WHERE id = ANY(:ids) AND archived_at IS NULL")

_LIST = text("SELECT id, name, price, stock, archived_at FROM products ORDER BY id LIMIT :limit")

_SHOWN = "SELECT id, name, price, stock, archived_at IS NOT NULL AS archived, created_at FROM products"

_ONE = text(f"{_SHOWN} WHERE id = :product_id")

_PAGE = text(f"{_SHOWN} WHERE id > :after ORDER BY id LIMIT :limit")


@dataclass(frozen=True)
class ProductView:
    """One product as the outside sees it; price in the currency of CURRENCY."""

    id: int
    name: str
    price: Decimal
    stock: int
    archived: bool
    created_at: datetime


def known_products(session: Connection, product_ids: list[int]) -> set[int]:
    """Return which of these ids can be ordered now."""
    return set(session.scalars(_NAMES, {"ids": product_ids}))


def list_products(session: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the first products as plain rows."""
    return [dict(row) for row in session.execute(_LIST, {"limit": limit}).mappings()]


def get_product(session: Connection, product_id: int) -> ProductView | None:
    """Return the product, archived or not."""
    row = session.execute(_ONE, {"product_id": product_id}).one_or_none()
    return ProductView(*row) if row else None


def product_page(session: Connection, after: int, limit: int) -> list[ProductView]:
    """Return the next products after this id, the archived ones too."""
    return [ProductView(*row) for row in session.execute(_PAGE, {"after": after, "limit": limit})]
