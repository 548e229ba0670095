"""The ledger: every change of stock is a line, and the database keeps the books."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError

from orderapp.database import writing
from orderapp.products.stock import Movement, deduct, give_back, lock_stock, open_stock, restock
from tests.orders.examples import ledger_is_right, placed, stock
from tests.servers.waiting import wait_until
from tests.sql import holding, one, row_counts, sql
from tests.threads import at_once

AProduct = Callable[..., int]

WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def take(*sales: Movement) -> None:
    """Deduct in a transaction of its own."""
    with writing() as session:
        deduct(session, sales)


def test_a_sale_is_a_line_and_a_smaller_stock(a_product: AProduct) -> None:
    """Both, in one transaction."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    take(Movement(lamp, order_id, -3))
    assert stock(lamp) == 7
    assert sql("SELECT product_id, order_id, delta, kind FROM stock_movements ORDER BY id") == [
        (lamp, None, 10, "opening"),
        (lamp, order_id, -3, "sale"),
    ]


def test_many_sales_of_many_products_are_summed(a_product: AProduct) -> None:
    """A product that several orders of the batch bought is updated once, by all of it."""
    lamp, chair = a_product(stock=10), a_product(stock=5)
    first, second = placed((lamp, 1), (chair, 1)), placed((lamp, 4))
    take(Movement(lamp, first, -1), Movement(chair, first, -1), Movement(lamp, second, -4))
    assert (stock(lamp), stock(chair)) == (5, 4)
    assert ledger_is_right()


def test_the_database_refuses_to_sell_one_order_line_twice(a_product: AProduct) -> None:
    """Whatever went wrong before: UNIQUE (order, product, kind)."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    take(Movement(lamp, order_id, -3))
    with pytest.raises(IntegrityError, match="stock_movements_order_id_product_id_kind_key"):
        take(Movement(lamp, order_id, -3))
    assert stock(lamp) == 7


def test_the_database_refuses_a_stock_below_zero(a_product: AProduct) -> None:
    """The last line of defence; the ledger's line is undone with it."""
    lamp = a_product(stock=2)
    order_id = placed((lamp, 3))
    with pytest.raises(IntegrityError, match="products_stock_check"):
        take(Movement(lamp, order_id, -3))
    assert stock(lamp) == 2
    assert ledger_is_right()


def test_the_database_refuses_a_second_opening(a_product: AProduct) -> None:
    """A product begins once."""
    lamp = a_product(stock=2)
    with pytest.raises(IntegrityError, match="stock_movements_one_opening"), writing() as session:
        open_stock(session, [Movement(lamp, None, 5)])
    assert stock(lamp) == 2


def test_a_sold_line_can_be_given_back_once(a_product: AProduct) -> None:
    """A cancelled order returns what it had."""
    lamp = a_product(stock=10)
    order_id = placed((lamp, 3))
    take(Movement(lamp, order_id, -3))
    with writing() as session:
        give_back(session, [Movement(lamp, order_id, 3)])
    assert stock(lamp) == 10
    with pytest.raises(IntegrityError), writing() as session:
        give_back(session, [Movement(lamp, order_id, 3)])
    assert ledger_is_right()


def test_stock_can_be_moved_by_hand_any_number_of_times(a_product: AProduct) -> None:
    """Deliveries and losses have no order."""
    lamp = a_product(stock=1)
    for delta in (5, 5, -2):
        with writing() as session:
            restock(session, Movement(lamp, None, delta))
    assert stock(lamp) == 9
    assert ledger_is_right()


@pytest.mark.parametrize(
    ("kind", "delta", "ordered"),
    [
        ("sale", 1, True),
        ("sale", 0, True),
        ("sale", -1, False),
        ("return", -1, True),
        ("return", 0, True),
        ("return", 1, False),
        ("opening", -1, False),
        ("opening", 1, True),
        ("restock", 0, False),
        ("restock", 1, True),
        ("theft", -1, False),
    ],
)
def test_the_database_refuses_a_line_that_contradicts_its_kind(
    a_product: AProduct, kind: str, delta: int, ordered: bool
) -> None:
    """A sale takes and has an order, a return gives and has one, the rest has none."""
    lamp = a_product()
    order_id = placed((lamp, 1)) if ordered else None
    with pytest.raises(psycopg2.errors.CheckViolation):
        sql(
            "INSERT INTO stock_movements (product_id, order_id, delta, kind) VALUES (%(p)s, %(o)s, %(d)s, %(k)s)",
            p=lamp,
            o=order_id,
            d=delta,
            k=kind,
        )


@pytest.mark.parametrize("statement", ["UPDATE stock_movements SET delta = 1", "DELETE FROM stock_movements"])
def test_the_ledger_is_append_only(a_product: AProduct, statement: str) -> None:
    """Not even raw SQL rewrites it."""
    a_product(stock=3)
    with pytest.raises(psycopg2.errors.CheckViolation, match="stock_movements is append-only"):
        sql(statement)
    assert one("SELECT sum(delta) FROM stock_movements") == 3


@pytest.mark.parametrize("column", ["product_id", "order_id"])
def test_a_line_belongs_to_a_product_and_an_order_that_exist(a_product: AProduct, column: str) -> None:
    """Foreign keys hold the two ends."""
    lamp = a_product()
    values = {"product_id": lamp, "order_id": placed((lamp, 1))} | {column: 4711}
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        sql(
            "INSERT INTO stock_movements (product_id, order_id, delta, kind) VALUES (%(product_id)s, %(order_id)s, -1, 'sale')",
            **values,
        )


def test_locking_returns_what_is_there(a_product: AProduct) -> None:
    """A product that does not exist is simply not in it."""
    lamp, chair = a_product(stock=3), a_product(stock=0)
    with writing() as session:
        assert lock_stock(session, {chair, lamp, 4711}) == {lamp: 3, chair: 0}


def test_a_locked_product_waits_and_sees_what_was_committed_meanwhile(app: Flask, a_product: AProduct) -> None:
    """Two settles of one product run one after the other; the second knows what the first left."""
    lamp = a_product(stock=100)

    def sell_one() -> int:
        with writing() as session:
            left = lock_stock(session, [lamp])[lamp]
            restock(session, Movement(lamp, None, -1))
        return left

    assert sorted(at_once(app, *[sell_one] * 8)) == list(range(93, 101))
    assert stock(lamp) == 92


def test_products_are_locked_in_id_order(app: Flask, a_product: AProduct) -> None:
    """Who waits for the first has not taken the second: crossing batches cannot deadlock."""
    lamp, chair = a_product(), a_product()

    def lock_both() -> dict[int, int]:
        with writing() as session:
            return lock_stock(session, [chair, lamp])

    with ThreadPoolExecutor() as pool:
        with holding("SELECT id FROM products WHERE id = %(id)s FOR UPDATE", id=lamp) as cursor:
            waiting = pool.submit(at_once, app, lock_both)
            wait_until(lambda: sql(WAITING), 10, "the settle to wait for the lamp")
            cursor.execute("SELECT id FROM products WHERE id = %(id)s FOR UPDATE NOWAIT", {"id": chair})
        assert waiting.result(10) == [{lamp: 10, chair: 10}]


def test_moving_nothing_says_nothing(app: Flask) -> None:
    """An empty list is a list."""
    before = row_counts()
    with app.app_context():
        take()
    assert row_counts() == before
