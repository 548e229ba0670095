"""Creating, changing, archiving and restocking products."""

from collections.abc import Callable
from decimal import Decimal

import psycopg2
import pytest
from flask import Flask

from orderapp.database import reading
from orderapp.errors import ConflictError, InvalidInputError, NotFoundError
from orderapp.products.changes import ProductChange
from orderapp.products.editing import archive_product, create_product, edit_product, restock_product
from orderapp.products.queries import known_products, list_products
from orderapp.products.seeding import seed_products
from tests.orders.examples import ledger_is_right, placed, stock
from tests.sql import one, row_counts, sql
from tests.threads import at_once

pytestmark = pytest.mark.usefixtures("app")

AProduct = Callable[..., int]


def test_a_product_begins_with_its_opening_in_the_ledger() -> None:
    """Even with none in stock: stock is the sum of its movements from the first instant."""
    for units in (7, 0):
        product = create_product("Lamp", Decimal("2.50"), units)
        assert one("SELECT name, price, stock, archived_at FROM products WHERE id = %(id)s", id=product) == (
            "Lamp",
            Decimal("2.50"),
            units,
            None,
        )
        assert one("SELECT delta, kind FROM stock_movements WHERE product_id = %(id)s", id=product) == (units, "opening")


@pytest.mark.parametrize(
    ("name", "price", "units", "pointer"),
    [
        ("", "1", 1, "/name"),
        ("  ", "1", 1, "/name"),
        ("x" * 201, "1", 1, "/name"),
        ("a\x00b", "1", 1, "/name"),
        ("a\nb", "1", 1, "/name"),
        ("Lamp", "-0.01", 1, "/price"),
        ("Lamp", "0.001", 1, "/price"),
        ("Lamp", "10000000000", 1, "/price"),
        ("Lamp", "NaN", 1, "/price"),
        ("Lamp", "Infinity", 1, "/price"),
        ("Lamp", "1", -1, "/stock"),
        ("Lamp", "1", 10**12 + 1, "/stock"),
    ],
)
def test_a_product_that_the_table_could_not_hold_is_refused_by_name(name: str, price: str, units: int, pointer: str) -> None:
    """And nothing is stored."""
    before = row_counts()
    with pytest.raises(InvalidInputError) as refusal:
        create_product(name, Decimal(price), units)
    assert [fault[0] for fault in refusal.value.faults] == [pointer]
    assert row_counts() == before


@pytest.mark.parametrize(("name", "price", "units"), [("x" * 200, "9999999999.99", 10**12), ("é", "0", 0), ("☕", "0.01", 1)])
def test_a_product_at_the_limits_is_taken(name: str, price: str, units: int) -> None:
    """To the last character, cent and unit."""
    product = create_product(name, Decimal(price), units)
    assert one("SELECT name, price, stock FROM products WHERE id = %(id)s", id=product) == (name, Decimal(price), units)


@pytest.mark.parametrize("column", ["name = ''", "name = repeat('x', 201)", "price = -0.01", "stock = -1", "price = 1e10"])
def test_the_database_refuses_what_no_product_can_be(a_product: AProduct, column: str) -> None:
    """Also to raw SQL."""
    a_product()
    with pytest.raises((psycopg2.errors.CheckViolation, psycopg2.errors.NumericValueOutOfRange)):
        sql(f"UPDATE products SET {column}")


def test_a_product_can_be_renamed_and_repriced_and_orders_keep_their_price(a_product: AProduct) -> None:
    """Each change alone, with its line in the audit log."""
    lamp = a_product(price="2.50")
    placed((lamp, 1))
    edit_product(lamp, ProductChange(price=Decimal("3.00")), actor="alice")
    edit_product(lamp, ProductChange(name="Lantern"), actor="alice")
    assert one("SELECT name, price FROM products") == ("Lantern", Decimal("3.00"))
    assert one("SELECT unit_price FROM order_items") == Decimal("2.50")
    assert sql("SELECT actor, after FROM audit_log WHERE action = 'edit' ORDER BY id") == [
        ("alice", {"name": "Lamp", "price": "3.00"}),
        ("alice", {"name": "Lantern", "price": "3.00"}),
    ]


def test_a_change_of_a_product_is_checked_like_a_new_one(a_product: AProduct) -> None:
    """And of one that is not there it is said."""
    lamp = a_product()
    with pytest.raises(InvalidInputError):
        edit_product(lamp, ProductChange(price=Decimal("0.001")), actor="alice")
    for call in (
        lambda: edit_product(4711, ProductChange(name="x"), actor="alice"),
        lambda: archive_product(4711, actor="alice"),
        lambda: restock_product(4711, 1, "found", actor="alice"),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_an_archived_product_cannot_be_ordered_until_it_is_back(a_product: AProduct) -> None:
    """Off sale and on again."""
    lamp = a_product()
    archive_product(lamp, actor="alice")
    with pytest.raises(InvalidInputError):
        placed((lamp, 1))
    archive_product(lamp, actor="alice", archived=False)
    placed((lamp, 1))


def test_stock_is_moved_by_hand_and_never_below_zero(a_product: AProduct) -> None:
    """With a reason, and the books stay right."""
    lamp = a_product(stock=3)
    assert restock_product(lamp, 4, "delivery", actor="alice") == 7
    assert restock_product(lamp, -7, "water damage", actor="alice") == 0
    with pytest.raises(ConflictError):
        restock_product(lamp, -1, "more water", actor="alice")
    assert stock(lamp) == 0
    assert ledger_is_right()


@pytest.mark.parametrize(("quantity", "reason"), [(0, "x"), (10**12 + 1, "x"), (-(10**12) - 1, "x"), (1, ""), (1, "  ")])
def test_a_movement_without_units_or_reason_is_refused(a_product: AProduct, quantity: int, reason: str) -> None:
    """Nothing is moved."""
    lamp = a_product(stock=3)
    with pytest.raises(InvalidInputError):
        restock_product(lamp, quantity, reason, actor="alice")
    assert stock(lamp) == 3


def test_restocks_at_once_are_all_counted(app: Flask, a_product: AProduct) -> None:
    """None is lost between reading and writing."""
    lamp = a_product(stock=0)
    calls = [lambda: restock_product(lamp, 2, "delivery", actor="alice")] * 8
    assert sorted(at_once(app, *calls)) == list(range(2, 17, 2))
    assert ledger_is_right()


def test_the_examples_are_seeded_once() -> None:
    """Laptop and Mouse under the ids of the user's own curl; running it again changes nothing."""
    assert [seed_products(), seed_products()] == [2, 0]
    assert sql("SELECT id, name, price, stock FROM products ORDER BY id") == [
        (1, "Laptop", 55000, 10),
        (2, "Mouse", 500, 50),
    ]
    assert create_product("Lamp", Decimal(1), 1) == 3
    assert ledger_is_right()


def test_seeding_does_not_bring_back_what_was_sold() -> None:
    """The stock of a running shop is its own business."""
    seed_products()
    restock_product(1, -10, "sold at the door", actor="alice")
    seed_products()
    assert stock(1) == 0


def test_seeding_fills_up_to_a_number_of_products_for_load_tests() -> None:
    """Each with a million units; a smaller number afterwards adds none."""
    assert [seed_products(5), seed_products(5), seed_products(3), seed_products(6)] == [5, 0, 0, 1]
    assert [row.stock for row in sql("SELECT stock FROM products ORDER BY id")] == [10, 50] + [1_000_000] * 4
    assert ledger_is_right()


def test_seeding_leaves_a_product_that_has_an_examples_id(a_product: AProduct) -> None:
    """Somebody was faster with his own product 1."""
    a_product(name="Lamp")
    assert seed_products() == 1
    assert [row.name for row in sql("SELECT name FROM products ORDER BY id")] == ["Lamp", "Mouse"]


def test_two_seeders_at_once_make_one_set(app: Flask) -> None:
    """Two containers start together."""
    seed_products()
    assert sum(at_once(app, *[lambda: seed_products(10)] * 4)) == 8
    assert one("SELECT count(*) FROM products") == 10


def test_reading_products(a_product: AProduct) -> None:
    """Which can be ordered, and the list for people."""
    lamp, old = a_product(), a_product(name="Old lamp")
    archive_product(old, actor="alice")
    with reading() as session:
        assert known_products(session, [lamp, old, 4711]) == {lamp}
        assert [row["name"] for row in list_products(session, 10)] == ["Lamp", "Old lamp"]
        assert len(list_products(session, 1)) == 1
