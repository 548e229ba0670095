"""``flask orders``."""

from collections.abc import Callable

import orjson
import pytest
from flask.testing import FlaskCliRunner

from orderapp.orders.processing import process_orders
from tests.orders.examples import TASK, placed


def test_show_prints_the_order_its_claim_and_its_history(runner: FlaskCliRunner, a_product: Callable[..., int]) -> None:
    """One JSON document, as a script wants it."""
    order_id = placed((a_product(price="2.50"), 2), reference="PO-1")
    process_orders([order_id], TASK)

    result = runner.invoke(args=["orders", "show", str(order_id)])

    assert result.exit_code == 0, result.output
    shown = orjson.loads(result.stdout)
    assert (shown["order"]["status"], shown["order"]["total_amount"]) == ("confirmed", "5.00")
    assert shown["processing"]["task_id"] == TASK
    assert [event["type"] for event in shown["processing"]["events"]] == ["order.placed", "order.confirmed"]


def test_show_says_so_when_there_is_no_such_order(runner: FlaskCliRunner) -> None:
    """With a code that a script can see."""
    result = runner.invoke(args=["orders", "show", "7"])
    assert (result.exit_code, "There is no order 7." in result.output) == (1, True)


@pytest.mark.parametrize("wrong", ["0", "x", str(2**63), "1.0"])
def test_show_asks_for_an_id(runner: FlaskCliRunner, wrong: str) -> None:
    """PostgreSQL never sees what cannot be one."""
    result = runner.invoke(args=["orders", "show", wrong])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
