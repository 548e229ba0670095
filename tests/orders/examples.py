"""Orders to test with, and what a test wants to know of them."""

from typing import Any
from uuid import uuid4

from orderapp.orders.lines import Line
from orderapp.orders.placing import place_order
from tests.sql import one, sql

ANONYMOUS = 1

# Nobody but this test gives it out.
TASK = "00000000-0000-7000-8000-00000000abcd"


def placed(*wanted: tuple[int, int], client_id: int = ANONYMOUS, reference: str | None = None) -> int:
    """Place an order for (product id, quantity) pairs; returns its id."""
    lines = [Line(product_id, quantity) for product_id, quantity in wanted]
    return place_order(client_id, lines, currency="USD", reference=reference).id


def a_task() -> str:
    """Return a new Celery task id."""
    return str(uuid4())


def order(order_id: int) -> Any:
    """Return the order's row."""
    return one("SELECT * FROM orders WHERE id = %(id)s", id=order_id)


def statuses() -> list[str]:
    """Return the status of every order, in id order."""
    return [row.status for row in sql("SELECT status FROM orders ORDER BY id")]


def stock(product_id: int) -> int:
    """Return the units that are left."""
    return int(one("SELECT stock FROM products WHERE id = %(id)s", id=product_id))


def sales(order_id: int) -> list[tuple[int, int]]:
    """Return (product id, delta) of what the order took."""
    rows = sql("SELECT product_id, delta FROM stock_movements WHERE order_id = %(id)s ORDER BY product_id", id=order_id)
    return [(row.product_id, row.delta) for row in rows]


def history(order_id: int) -> list[tuple[int, str]]:
    """Return the order's events as (sequence, type)."""
    rows = sql("SELECT sequence, type FROM order_events WHERE order_id = %(id)s ORDER BY sequence", id=order_id)
    return [(row.sequence, row.type) for row in rows]


def lapse(*order_ids: int) -> None:
    """Let the claims of these orders run out now, as their time does when a worker dies."""
    statement = "UPDATE orders SET lease_until = clock_timestamp(), rescue_at = clock_timestamp() WHERE id = ANY(%(ids)s)"
    sql(statement, ids=list(order_ids))


def died(*order_ids: int, attempts: int = 1) -> None:
    """Leave these orders as their workers left them when they were killed, so many times."""
    sql(
        "UPDATE orders SET status = 'processing', task_id = %(task)s, attempts = %(attempts)s,"
        " lease_until = clock_timestamp() WHERE id = ANY(%(ids)s)",
        task=a_task(),
        attempts=attempts,
        ids=list(order_ids),
    )
    lapse(*order_ids)


def ledger_is_right() -> bool:
    """Tell whether every product's stock is the sum of its movements."""
    return not sql("""
        SELECT products.id FROM products LEFT JOIN stock_movements ON product_id = products.id
        GROUP BY products.id HAVING stock <> coalesce(sum(delta), 0)
    """)
