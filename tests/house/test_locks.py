"""Rule 4 of the house: locks."""

from pathlib import Path

import pytest

from .locks import breaches
from .tree import assert_found, assert_none, plant, the_house

CLEAN = {
    "orderapp/orders/processing.py": '''
PRODUCTS = text("""
    SELECT id, stock FROM products WHERE id = ANY(:ids)
    ORDER BY id -- never FOR UPDATE
    FOR NO KEY UPDATE
""")

def settle(session, ids):
    """Nothing here is taken FOR UPDATE."""
    session.execute(text("SELECT id FROM orders WHERE id = ANY(:ids) " "ORDER BY id FOR NO KEY UPDATE"))
    session.execute(PRODUCTS)
    log.info("waiting for update")
''',
    "orderapp/orders/placing.py": 'A = "INSERT INTO order_items (order_id) SELECT 1 FROM cart ORDER BY product_id"\n',
    "orderapp/orders/rescuing.py": (
        'A = "WITH due AS (SELECT id FROM orders ORDER BY id LIMIT 9 FOR NO KEY UPDATE SKIP LOCKED) UPDATE orders SET x = 1"\n'
    ),
    "orderapp/products/queries.py": "A = select(P).order_by(P.id).with_for_update(key_share=True)\n",
    "orderapp/outbox/relaying.py": (
        'A = "SELECT id FROM outbox ORDER BY available_at, id LIMIT 5 FOR UPDATE SKIP LOCKED"\n'
        "B = select(Row).with_for_update(skip_locked=True).order_by(Row.id)\n"
    ),
}

STOCK = "orderapp/products/stock.py"
OUTBOX = "orderapp/outbox/parking.py"
BOTH = """
PRODUCTS = "SELECT id FROM products ORDER BY id FOR NO KEY UPDATE"

def settle(session):
    session.execute(PRODUCTS)
    session.execute("SELECT id FROM orders ORDER BY id FOR NO KEY UPDATE")
"""

PLANTED = {
    "a plain FOR UPDATE": (STOCK, 'A = "SELECT id FROM products ORDER BY id FOR UPDATE"\n'),
    "the same in lower case": (STOCK, 'A = "select id from products order by id for update"\n'),
    "the same over two strings": (STOCK, 'A = "SELECT id FROM products ORDER BY id FOR " "UPDATE"\n'),
    "the same in an f-string": (STOCK, 'A = f"SELECT id FROM {table} ORDER BY id FOR UPDATE"\n'),
    "the same as an ending": (STOCK, 'A = base + " FOR UPDATE"\n'),
    "skip locked outside the outbox": (STOCK, 'A = "SELECT id FROM products ORDER BY id FOR UPDATE SKIP LOCKED"\n'),
    "a waiting FOR UPDATE in the outbox": (OUTBOX, 'A = "SELECT id FROM outbox ORDER BY id FOR UPDATE"\n'),
    "no ORDER BY": (STOCK, 'A = "SELECT id FROM products FOR NO KEY UPDATE"\n'),
    "ORDER BY of another SELECT": (STOCK, 'A = "SELECT 1 ORDER BY 1; SELECT id FROM products FOR NO KEY UPDATE"\n'),
    "a lock and a change in one": (
        STOCK,
        'A = "WITH l AS (SELECT id FROM products ORDER BY id FOR NO KEY UPDATE) UPDATE products p SET name = 1"\n',
    ),
    "with_for_update": (STOCK, "A = select(P).order_by(P.id).with_for_update()\n"),
    "with_for_update without order_by": (STOCK, "A = select(P).with_for_update(key_share=True)\n"),
    "products before orders": (STOCK, BOTH),
    "items in any order": ("orderapp/orders/placing.py", 'A = "INSERT INTO order_items (order_id) SELECT 1 FROM cart"\n'),
}


def test_rows_are_locked_in_order_and_without_blocking_a_post() -> None:
    """FOR NO KEY UPDATE with ORDER BY, orders before products; FOR UPDATE SKIP LOCKED in the outbox alone."""
    assert_none(breaches(the_house()))


def test_ordered_weak_locks_are_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace, and so are docstrings, SQL comments and prose."""
    assert_none(breaches(plant(tmp_path, CLEAN)))


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_a_lock_that_blocks_or_deadlocks_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each kind of bad lock is seen, in SQL and in SQLAlchemy."""
    assert_found(breaches(plant(tmp_path, {**CLEAN, path: text})), path)
