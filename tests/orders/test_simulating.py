"""``flask orders simulate``: what it refuses, and that its verdict can be bad."""

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from orderapp.accounts.issuing import issue_key
from orderapp.database import reading
from orderapp.orders import simulated
from orderapp.orders.processing import process_orders
from orderapp.orders.simulator import ApiError, Clients
from tests.orders.examples import TASK, placed
from tests.servers.processes import Processes
from tests.sql import one, sql

SIMULATE = ["orders", "simulate"]


def test_an_api_that_is_away_is_said_in_one_line_and_nothing_is_created(runner: FlaskCliRunner) -> None:
    """With the address, and what to do; code 1."""
    result = runner.invoke(args=[*SIMULATE, "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 1
    assert "No API answers at http://127.0.0.1:9" in result.stderr
    assert "--url" in result.stderr
    assert "Traceback" not in result.output
    assert one("SELECT count(*) FROM products") == 0


@pytest.mark.parametrize("wrong", ["ftp://x", "http://", "://"])
def test_an_address_that_is_none_is_refused(runner: FlaskCliRunner, wrong: str) -> None:
    """Before anything is sent."""
    result = runner.invoke(args=[*SIMULATE, "--url", wrong])
    assert (result.exit_code, "is no http address" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "wrong", [["--count", "0"], ["--rate", "0"], ["--rate", "x"], ["--connections", "0"], ["--wait", "-1"]]
)
def test_wrong_numbers_are_refused(runner: FlaskCliRunner, wrong: list[str]) -> None:
    """By click, with code 2."""
    assert runner.invoke(args=[*SIMULATE, *wrong]).exit_code == 2


def test_it_does_not_run_in_production(runner: FlaskCliRunner, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real receivers would hear of orders that nobody placed."""
    settings = app.extensions["settings"]
    monkeypatch.setitem(app.extensions, "settings", type("Production", (), {**vars(settings), "app_env": "production"}))
    result = runner.invoke(args=SIMULATE)
    assert (result.exit_code, "production" in result.stderr) == (1, True)


@pytest.mark.settings(REQUIRE_API_KEY="true")
def test_orders_that_nobody_settles_in_time_are_code_1(runner: FlaskCliRunner, processes: Processes) -> None:
    """A web process alone: every order is taken and stays open; the products are archived all the same."""
    web = processes.web().wait_ready()
    few = [*SIMULATE, "--count", "20", "--rate", "200", "--url", web.url]
    refused = runner.invoke(args=few)
    assert (refused.exit_code, "refused an order (401)" in refused.stderr) == (1, True)
    key = issue_key("Shop", ["orders:write"], "Alice")
    result = runner.invoke(args=[*few, "--key", key, "--wait", "0", "--json"])
    report = orjson.loads(result.stdout)
    assert result.exit_code == 1
    assert (report["accepted"], report["open"], report["confirmed"], report["p50_ms"]) == (20, 20, 0, None)
    assert (report["good"], report["conserved"]) == (False, True)
    assert one("SELECT count(*) FROM products WHERE archived_at IS NULL") == 0
    assert one("SELECT count(*) FROM products") == 2 * 12

    with pytest.raises(ApiError, match=r"refused an order \(422\)"):
        refuse(Clients(web.url, key))


def refuse(clients: Clients) -> None:
    """Order a product that does not exist."""
    with clients.posting([{999: 1}], rate=100, connections=2):
        pass
    clients.raise_refusal()


def test_a_unit_too_many_or_too_few_is_not_conserved(app: Flask) -> None:
    """Beside the ledger, and beside what the confirmed orders bought."""
    from orderapp.products.editing import create_product  # noqa: PLC0415 - beside the fixture that makes the application

    assert app
    lamp, chair = (create_product(name, one("SELECT 2.5"), 10) for name in ("Lamp", "Chair"))
    order_id = placed((lamp, 3), (chair, 1))
    process_orders([order_id], TASK)
    assert conserved(lamp, chair)
    assert not conserved(lamp, 999)
    sql("UPDATE products SET stock = stock + 1 WHERE id = %(id)s", id=lamp)
    assert not conserved(lamp, chair)
    assert conserved(chair)
    sql("INSERT INTO stock_movements (product_id, order_id, delta, kind) VALUES (%(id)s, %(order)s, 1, 'return')", id=lamp,
        order=order_id)  # fmt: skip
    assert not conserved(lamp)


def conserved(*products: int) -> bool:
    """Ask as the report does."""
    with reading() as session:
        return simulated.conserved(session, products)
