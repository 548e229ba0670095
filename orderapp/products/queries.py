"""Reading products."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

_NAMES = text("SELECT id FROM products WHERE id = ANY(:ids) AND archived_at IS NULL")

_LIST = text("SELECT id, name, price, stock, archived_at FROM products ORDER BY id LIMIT :limit")


def known_products(session: Session, product_ids: list[int]) -> set[int]:
    """Return which of these ids can be ordered now."""
    return set(session.scalars(_NAMES, {"ids": product_ids}))


def list_products(session: Session, limit: int) -> list[dict[str, Any]]:
    """Return the first products as plain rows."""
    return [dict(row) for row in session.execute(_LIST, {"limit": limit}).mappings()]
