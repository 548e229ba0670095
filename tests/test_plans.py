"""No statement that settles orders reads a whole table: at 10,000 rows, with statistics and on tables nobody analysed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from orderapp.database import reading
from orderapp.orders.processing import process_orders
from orderapp.orders.rescuing import rescue_orders
from tests.orders.examples import TASK, a_task, died
from tests.sql import sql
from tests.wire import Said, listening

# Tables that grow; a scan of one of them takes longer every day.
GROWING = {"products", "orders", "order_items", "order_events", "stock_movements", "outbox"}

ORDERS = PRODUCTS = 10_000

# 10,000 orders of three lines; all but every hundredth are settled.
HISTORY = f"""
INSERT INTO products (name, price, stock) SELECT 'Product ' || n, 1, 1000000 FROM generate_series(1, {PRODUCTS}) n;
INSERT INTO stock_movements (product_id, delta, kind) SELECT id, stock, 'opening' FROM products;
INSERT INTO orders (client_id, currency, rescue_at) SELECT 1, 'USD', now() FROM generate_series(1, {ORDERS});
INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT id, mod(id * 7 + line * 13, {PRODUCTS}) + 1, 1, 1 FROM orders, generate_series(1, 3) line;
INSERT INTO order_events (id, order_id, sequence, type) SELECT gen_random_uuid(), id, 1, 'order.placed' FROM orders;
UPDATE orders SET status = 'processing', task_id = gen_random_uuid(), attempts = 1, lease_until = now() WHERE mod(id, 100) <> 0;
UPDATE orders SET status = 'confirmed', total_amount = 3, lease_until = NULL, rescue_at = NULL, settled_at = now()
    WHERE status = 'processing';
INSERT INTO stock_movements (order_id, product_id, delta, kind)
    SELECT order_id, product_id, -1, 'sale' FROM order_items WHERE mod(order_id, 100) <> 0;
INSERT INTO order_events (id, order_id, sequence, type)
    SELECT gen_random_uuid(), id, 2, 'order.confirmed' FROM orders WHERE status = 'confirmed';
"""

OPEN = list(range(100, ORDERS + 1, 100))


@pytest.fixture(params=["analysed", "fresh"])
def _history(request: pytest.FixtureRequest, app: object) -> None:
    """Fill the tables; fresh ones have no statistics, as after a restore or a first busy day."""
    assert app
    sql("SET synchronous_commit = off; " + HISTORY)
    if request.param == "analysed":
        for table in sorted(GROWING):
            sql(f"ANALYZE {table}")


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """Yield the tables that a plan reads from end to end."""
    if plan["Node Type"] in {"Seq Scan", "Parallel Seq Scan"}:
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from scans(below)


def full_scans(said: Said) -> set[str]:
    """Return the growing tables that this statement reads from end to end, with the parameters it was given."""
    (row,) = sql(f"EXPLAIN (FORMAT JSON) {said.statement}", **said.parameters)
    return GROWING & set(scans(row[0][0]["Plan"]))


def breaches(call: Callable[[], Any]) -> list[tuple[str, set[str]]]:
    """Return the statements of the call that scan a growing table."""
    with listening() as wire:
        call()
    assert wire.said
    return [(said.statement, tables) for said in wire.said if (tables := full_scans(said))]


@pytest.mark.usefixtures("_history")
@pytest.mark.parametrize("size", [1, 10, 100])
def test_claim_and_settle_scan_no_table(size: int) -> None:
    """For one order, for a small batch and for a full one, spread over the whole table."""
    assert breaches(lambda: process_orders(OPEN[:size], TASK)) == []
    assert sql("SELECT count(*) FROM orders WHERE task_id = %(task)s", task=TASK) == [(size,)]


@pytest.mark.usefixtures("_history")
def test_orders_that_run_alone_scan_no_table() -> None:
    """Nor does a batch that was settled long ago."""
    died(*OPEN[:5])
    assert breaches(lambda: process_orders(OPEN[:5], TASK)) == []
    assert breaches(lambda: process_orders(list(range(1, 100)), a_task())) == []


@pytest.mark.usefixtures("_history")
def test_a_rescue_scans_no_table() -> None:
    """The index holds open orders only, however long the history."""
    assert breaches(rescue_orders) == []
    assert sql("SELECT count(*) FROM outbox") == [(len(OPEN),)]


@pytest.mark.usefixtures("_history")
def test_a_scan_would_be_seen() -> None:
    """The test's own test: a question without an index is found out."""
    with listening() as wire, reading() as session:
        session.execute(text("SELECT count(*) FROM orders WHERE currency = :currency"), {"currency": "EUR"})
    assert full_scans(wire.said[0]) == {"orders"}
