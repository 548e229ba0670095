"""Act: products are created, changed, archived and restocked, each with a line in the audit log."""

from collections.abc import Collection
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from orderapp import audit
from orderapp.database import writing
from orderapp.errors import ConflictError, InvalidInputError, NotFoundError
from orderapp.products import stock as ledger
from orderapp.products.changes import HIGHEST_PRICE, LONGEST_NAME, MOST_STOCK, ProductChange
from orderapp.products.stock import Movement
from orderapp.products.versions import refuse_outdated, version_of

_CREATE = text("INSERT INTO products (name, price) VALUES (:name, :price) RETURNING id")

_LOCK = text("SELECT name, price, stock, archived_at FROM products WHERE id = :product_id ORDER BY id FOR NO KEY UPDATE")

_CHANGE = text("UPDATE products SET name = :name, price = :price WHERE id = :product_id")

_ARCHIVE = text("UPDATE products SET archived_at = CASE WHEN :archived THEN clock_timestamp() END WHERE id = :product_id")


def create_product(name: str, price: Decimal, stock: int, actor: str = "system") -> int:
    """Create a product with its opening stock; returns its id. Raises InvalidInputError."""
    _refuse_bad_values(name=name, price=price, stock=stock)
    with writing() as session:
        product_id: int = session.execute(_CREATE, {"name": name, "price": price}).scalar_one()
        ledger.open_stock(session, [Movement(product_id, None, stock)])
        after = {"name": name, "price": price, "stock": stock}
        audit.record(session, audit.Change(actor, "create", "product", product_id, None, after))
    return product_id


def edit_product(product_id: int, change: ProductChange, actor: str, expected: Collection[str] | None = None) -> None:
    """Change name or price; orders already placed keep their quoted price.

    Raises NotFoundError, InvalidInputError, and PreconditionFailedError when the product is at none of the versions expected.
    """
    with writing() as session:
        before = _locked(session, product_id, expected)
        old = {"name": before["name"], "price": before["price"]}
        after: dict[str, Any] = old | {name: value for name, value in asdict(change).items() if value is not None}
        _refuse_bad_values(**after, stock=0)
        session.execute(_CHANGE, {"product_id": product_id, **after})
        audit.record(session, audit.Change(actor, "edit", "product", product_id, old, after))


def archive_product(product_id: int, actor: str, *, archived: bool = True, expected: Collection[str] | None = None) -> None:
    """Take a product off sale, or put it back; open orders for it still settle.

    Raises NotFoundError, and PreconditionFailedError when the product is at none of the versions expected.
    """
    with writing() as session:
        before = _locked(session, product_id, expected)
        session.execute(_ARCHIVE, {"product_id": product_id, "archived": archived})
        action = "archive" if archived else "unarchive"
        change = audit.Change(
            actor, action, "product", product_id, {"archived": before["archived_at"] is not None}, {"archived": archived}
        )
        audit.record(session, change)


def restock_product(product_id: int, quantity: int, reason: str, actor: str) -> int:
    """Move stock by hand: units that arrived, or (negative) units found missing; returns the units there are now.

    Stock is never set, only moved. Raises NotFoundError, InvalidInputError, and ConflictError below zero.
    """
    if quantity == 0 or abs(quantity) > MOST_STOCK:
        raise InvalidInputError([("/quantity", f"Must be a number from -{MOST_STOCK} to {MOST_STOCK}, and not 0.")])
    if not reason.strip():
        raise InvalidInputError([("/reason", "Say why the stock changes.")])
    with writing() as session:
        before = _locked(session, product_id)
        left: int = before["stock"] + quantity
        if left < 0:
            raise ConflictError(f"Product {product_id} has {before['stock']} units; {-quantity} cannot be taken away.")
        ledger.restock(session, Movement(product_id, None, quantity))
        change = audit.Change(actor, "restock", "product", product_id, {"stock": before["stock"]}, {"stock": left}, reason)
        audit.record(session, change)
    return left


def _locked(session: Connection, product_id: int, expected: Collection[str] | None = None) -> dict[str, Any]:
    row = session.execute(_LOCK, {"product_id": product_id}).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"There is no product {product_id}.")
    # Under the lock: compared before it, two editors with one version would both get through.
    refuse_outdated(version_of(row["name"], row["price"], archived=row["archived_at"] is not None), expected)
    return dict(row)


def _refuse_bad_values(*, name: str, price: Decimal, stock: int) -> None:
    faults = []
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        faults.append(("/name", f"Must be 1 to {LONGEST_NAME} printable characters."))
    if not price.is_finite() or not 0 <= price <= HIGHEST_PRICE or price != round(price, 2):
        faults.append(("/price", f"Must be an amount from 0 to {HIGHEST_PRICE} with at most two decimals."))
    if not 0 <= stock <= MOST_STOCK:
        faults.append(("/stock", f"Must be a number from 0 to {MOST_STOCK}."))
    if faults:
        raise InvalidInputError(faults)
