"""Idiomatic Flask: Flask-SQLAlchemy's ORM, commit, then ``task.delay()``; a crash in between loses the message."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from celery import Celery, Task
from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import ForeignKey, Numeric, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The base of the models."""


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "postgresql+psycopg2://" + os.environ["DATABASE_URL"].partition("://")[2]
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 8}
db = SQLAlchemy(app, model_class=Base)


class FlaskTask(Task):
    """Runs every task inside the application's context."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        with app.app_context():
            return self.run(*args, **kwargs)


celery = Celery("flask_orm", broker=os.environ["CELERY_BROKER_URL"], task_cls=FlaskTask)
celery.conf.task_ignore_result = True


class Product(Base):
    """Something for sale."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    stock: Mapped[int]


class Order(Base):
    """An order."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(default="pending")
    total_amount: Mapped[Decimal | None] = mapped_column(Numeric(22, 2))
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    settled_at: Mapped[datetime | None]
    items: Mapped[list["OrderItem"]] = relationship(back_populates="order")


class OrderItem(Base):
    """A line of an order."""

    __tablename__ = "order_items"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    order: Mapped[Order] = relationship(back_populates="items")
    product: Mapped[Product] = relationship()


@app.post("/api/orders/")
def place() -> tuple[dict[str, Any], int]:
    """Store an order and wake a worker."""
    lines = request.get_json().get("items")
    if not isinstance(lines, list) or not lines:
        abort(422)
    order = Order()
    for line in lines:
        product = db.session.get(Product, line["product_id"]) or abort(422)
        order.items.append(OrderItem(product=product, quantity=line["quantity"], unit_price=product.price))
    db.session.add(order)
    db.session.commit()
    settle.delay(order.id)
    return _shown(order), 201


@app.get("/api/orders/<int:order_id>/")
def show(order_id: int) -> dict[str, Any]:
    """Show an order."""
    return _shown(db.get_or_404(Order, order_id))


def _shown(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "total_amount": order.total_amount,
        "created_at": order.created_at.isoformat(),
        "items": [
            {"id": item.id, "product": item.product.name, "quantity": item.quantity, "unit_price": item.unit_price}
            for item in order.items
        ],
    }


@celery.task
def settle(order_id: int) -> None:
    """Take the stock and confirm the order."""
    order = db.session.get(Order, order_id, with_for_update=True)
    if order is None or order.status != "pending":
        return
    wanted = {item.product_id: item.quantity for item in order.items}
    query = select(Product).where(Product.id.in_(wanted)).order_by(Product.id).with_for_update()
    for product in db.session.scalars(query):
        product.stock -= wanted[product.id]
    order.total_amount = sum((item.quantity * item.unit_price for item in order.items), Decimal(0))
    order.status = "confirmed"
    order.settled_at = datetime.now(UTC)
    db.session.commit()


@app.cli.command("prepare")
def prepare() -> None:
    """Create the tables and a thousand products."""
    db.create_all()
    db.session.add_all(Product(id=n, name=f"Product {n}", price=Decimal(n), stock=1_000_000) for n in range(1, 1001))
    db.session.commit()
