"""Operators beside the load: they cancel, retry, restock and change prices, by the acts that the panel calls."""

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from orderapp.database import reading
from orderapp.errors import OrderAppError
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.retrying import retry_order
from orderapp.products.editing import ProductChange, edit_product, restock_product
from tests.threads import Crowd

# Seconds between two things that one operator does.
PAUSE = 0.3

# Of what the second operator does: price changes. The rest restocks, too little for the short products to last.
PRICES = 0.85

# Units that arrive at a time.
DELIVERY = 5

_SOME = text(
    "SELECT id FROM orders WHERE status = :status AND id > (SELECT max(id) FROM orders) - 500 ORDER BY random() LIMIT 1"
)


class Operators(Crowd):
    """Two of them: one minds orders, one products. What was acknowledged must be there at the end."""

    def __init__(self, app: Flask, products: list[int], seed: int) -> None:
        jobs = (self._mind_orders, self._mind_products)
        super().__init__(*(partial(self._work, job, random.Random(f"{seed}/{job.__name__}")) for job in jobs))
        self.cancelled: set[int] = set()
        self.reopened: Counter[int] = Counter()
        self.restocked = 0  # acknowledged
        self.restocks_tried = 0
        self.edited = 0
        self._app = app
        self._products = products

    def _work(self, job: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self._over.wait(PAUSE):
            with self._app.app_context():
                try:
                    job(chance)
                except (OrderAppError, SQLAlchemyError):
                    continue  # refused, or the database is away: an operator looks and does something else

    def _mind_orders(self, chance: random.Random) -> None:
        status = chance.choice(["pending", "confirmed", "failed", "failed"])
        with reading() as session:
            order_id = session.scalar(_SOME, {"status": status})
        if order_id is None:
            return
        if status == "failed":
            retry_order(order_id, "Alice", "stock arrived")
            self.reopened[order_id] += 1
        else:
            cancel_order(order_id, "Alice", "changed their mind")
            self.cancelled.add(order_id)

    def _mind_products(self, chance: random.Random) -> None:
        product = chance.choice(self._products)
        if chance.random() < PRICES:
            edit_product(product, ProductChange(price=Decimal(chance.randint(100, 999)) / 100), "Bob")
            self.edited += 1
        else:
            self.restocks_tried += DELIVERY
            restock_product(chance.choice(self._products[-2:]), DELIVERY, "arrived", "Bob")
            self.restocked += DELIVERY
