"""``flask products``."""

from collections.abc import Callable

import orjson
import pytest
from flask.testing import FlaskCliRunner

from tests.sql import one, sql


def test_seed_says_how_many_were_new(runner: FlaskCliRunner) -> None:
    """And may be run by every start script."""
    says = [runner.invoke(args=["products", "seed"]).output for _ in range(2)]
    assert says == ["2 product(s) created.\n", "0 product(s) created.\n"]
    assert one("SELECT count(*) FROM products") == 2


def test_seed_for_load_makes_as_many_as_asked(runner: FlaskCliRunner) -> None:
    """In all, examples included."""
    assert runner.invoke(args=["products", "seed", "--count", "7"]).exit_code == 0
    assert one("SELECT count(*) FROM products") == 7


@pytest.mark.parametrize("count", ["-1", "x", "1000001"])
def test_seed_refuses_a_senseless_count(runner: FlaskCliRunner, count: str) -> None:
    """Nothing is made."""
    assert runner.invoke(args=["products", "seed", "--count", count]).exit_code == 2
    assert one("SELECT count(*) FROM products") == 0


def test_add_creates_a_product(runner: FlaskCliRunner) -> None:
    """Name, price, units."""
    result = runner.invoke(args=["products", "add", "Lamp", "--price", "2.50", "--stock", "3"])
    assert (result.exit_code, result.output) == (0, "Product 1 created.\n")
    assert sql("SELECT name, price::text, stock FROM products") == [("Lamp", "2.50", 3)]


@pytest.mark.parametrize("price", ["x", "-1", "0.001", "NaN", "1e99", ""])
def test_add_refuses_what_is_no_price(runner: FlaskCliRunner, price: str) -> None:
    """In one line, without a traceback."""
    result = runner.invoke(args=["products", "add", "Lamp", "--price", price])
    assert result.exit_code in {1, 2}
    assert isinstance(result.exception, SystemExit)
    assert one("SELECT count(*) FROM products") == 0


def test_list_is_a_table_for_people_and_json_for_scripts(runner: FlaskCliRunner, a_product: Callable[..., int]) -> None:
    """The same rows."""
    assert "no products" in runner.invoke(args=["products", "list"]).output
    a_product(stock=3, price="2.50")
    assert "Lamp" in runner.invoke(args=["products", "list"]).output
    (row,) = orjson.loads(runner.invoke(args=["products", "list", "--json"]).output)
    assert (row["id"], row["name"], row["price"], row["stock"]) == (1, "Lamp", "2.50", 3)
