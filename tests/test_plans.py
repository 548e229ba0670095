"""No statement that places or settles orders reads a whole table: of 1,000 or 10,000 rows, with statistics or not, or more."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from orderapp import prepared
from orderapp.admin import figures
from orderapp.admin import queries as lists
from orderapp.database import reading
from orderapp.orders import pages, positioning, queries
from orderapp.orders.pages import Wanted
from orderapp.orders.processing import process_orders
from orderapp.orders.rescuing import rescue_orders
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.relaying import Relay
from tests.admin.visitors import PEOPLE, Visitor, create_people
from tests.orders.examples import ANONYMOUS, TASK, a_task, died
from tests.outbox.fakes import FakePublisher
from tests.sql import holding, sql
from tests.wire import Said, listening

# Tables that grow; a scan of one of them takes longer every day.
GROWING = {"products", "orders", "order_items", "order_events", "stock_movements", "outbox"}

ORDERS = PRODUCTS = 10_000

# Orders of three lines; all but every hundredth are settled.
HISTORY = """
INSERT INTO products (name, price, stock) SELECT 'Product ' || n, 1, 1000000 FROM generate_series(1, {products}) n;
INSERT INTO stock_movements (product_id, delta, kind) SELECT id, stock, 'opening' FROM products;
INSERT INTO orders (client_id, currency, rescue_at) SELECT 1, 'USD', now() FROM generate_series(1, {orders});
INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT id, mod(id * 7 + line * 13, {products}) + 1, 1, 1 FROM orders, generate_series(1, 3) line;
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


def fill(orders: int, products: int = PRODUCTS) -> None:
    """Replace what is in the tables by so many orders and products."""
    # Emptied by TRUNCATE: what earlier tests left deleted would be statistics of a kind.
    sql(f"TRUNCATE {', '.join(sorted(GROWING))} CASCADE")
    # A million orders in a minute: without the triggers, which test_constraints.py tests.
    limits = "SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = 0; SET LOCAL session_replication_role = replica"
    sql(f"BEGIN; {limits}; {HISTORY.format(orders=orders, products=products)}; COMMIT")


def analyse(tables: Iterable[str] = GROWING) -> None:
    """Let PostgreSQL learn what is in the tables."""
    for table in sorted(tables):
        sql(f"ANALYZE {table}")


@pytest.fixture(params=["analysed", "fresh"])
def _history(request: pytest.FixtureRequest, app: object) -> None:
    """Fill the tables; fresh ones have no statistics, as after a restore or a first busy day."""
    assert app
    fill(ORDERS)
    if request.param == "analysed":
        analyse()


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """Yield the tables that a plan reads from end to end."""
    if plan["Node Type"] in {"Seq Scan", "Parallel Seq Scan"}:
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from scans(below)


def full_scans(said: Said, growing: set[str] = GROWING) -> set[str]:
    """Return the growing tables that this statement reads from end to end, with its parameters, or prepared with any."""
    preparing, statement = "", said.statement
    if said.prepared:
        preparing, statement = prepared.spell(said.prepared, said.statement)
        preparing = f"DEALLOCATE ALL; {prepared.FOR_ANY_PARAMETERS}; {preparing};"
    (row,) = sql(f"{preparing} EXPLAIN (FORMAT JSON) {statement}", **said.parameters)
    return growing & set(scans(row[0][0]["Plan"]))


def breaches(call: Callable[[], Any], growing: set[str] = GROWING) -> list[tuple[str, set[str]]]:
    """Return the statements of the call that scan a growing table."""
    with listening() as wire:
        call()
    assert wire.said
    return [(said.statement, tables) for said in wire.said if (tables := full_scans(said, growing))]


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


NOW = datetime.now(UTC)

# A status of one order in a hundred; a product of every order and one of three; a reference of every order.
FILTERS: dict[str, tuple[Any, ...]] = {
    "status": (None, "pending"),
    "product": (None, 1, 2),
    "reference": (None, "PO-1"),
    "start": (None, NOW - timedelta(days=1)),
    "after": (None, ((NOW + timedelta(days=1)).isoformat(), ORDERS // 2)),
}


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows the busiest node of a plan that was run has read, those that it threw away included."""
    read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return max([int(read * plan["Actual Loops"]), *(rows_read(below) for below in plan.get("Plans", ()))])


@pytest.mark.usefixtures("_history")
def test_a_page_of_orders_reads_no_table_and_no_more_rows_than_its_bound(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """For every combination of filters, on the first page and on a later one; the bound needs statistics."""
    monkeypatch.setattr(pages, "SCANNED", 500)
    monkeypatch.setattr(pages, "FEW", 50)
    lines = "INSERT INTO order_items (order_id, product_id, quantity, unit_price) SELECT id, 1, 1, 1 FROM orders"
    sql(f"{lines} ON CONFLICT DO NOTHING; UPDATE orders SET reference = 'PO-1'")
    analysed = "analysed" in request.node.name
    if analysed:
        sql("ANALYZE orders, order_items")
    faults, tried = [], 0
    with holding("SELECT 1") as cursor:
        for values in product(*FILTERS.values()):
            wanted = Wanted(ANONYMOUS, 100, **dict(zip(FILTERS, values, strict=True)))
            with listening() as wire, reading() as session:
                queries.get_orders(session, pages.find(session, wanted).order_ids)
            for said in wire.said:
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {said.statement}", said.parameters)
                plan = cursor.fetchone()[0][0]["Plan"]
                if GROWING & set(scans(plan)) or (analysed and rows_read(plan) > 550):
                    faults.append((wanted, said.statement, plan))
                tried += 1
    assert faults == []
    assert tried > 100


@pytest.mark.usefixtures("_history")
def test_the_feed_scans_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while it has a backlog nor when all is placed, for a client with all events and for one with none."""
    # A whole batch is a twentieth of this table, which PostgreSQL 15 would rather read.
    monkeypatch.setattr(positioning, "BATCH", 100)
    assert breaches(positioning.place_events) == []

    def read() -> None:
        for client_id, after in ((ANONYMOUS, 0), (ANONYMOUS, 50), (4711, 0)):
            with reading() as session:
                queries.any_unplaced(session)
                queries.feed_page(session, client_id, after, 100)

    assert breaches(read) == []
    monkeypatch.setattr(positioning, "BATCH", 10 * ORDERS)
    positioning.place_events()
    assert breaches(read) == []


# What the panel's pages look at besides: a delivery and an attempt for every outcome, messages that are due, a few failures.
PANEL = """
INSERT INTO webhook_deliveries (order_id, event_id, state, attempt, finished_at, rescue_at)
    SELECT order_id, id, CASE WHEN mod(order_id, 500) = 1 THEN 'exhausted' WHEN mod(order_id, 500) = 2 THEN 'pending'
    ELSE 'succeeded' END, 1, now(), now() FROM order_events WHERE type = 'order.confirmed' ORDER BY order_id;
INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code)
    SELECT id, 1, now(), 5, 200 FROM webhook_deliveries ORDER BY id;
INSERT INTO outbox (queue, task, subject_id, parked_at)
    SELECT 'orders', 'orders.process', id, CASE WHEN mod(id, 1000) = 0 THEN now() END FROM orders;
UPDATE orders SET status = 'processing', task_id = gen_random_uuid(), lease_until = now() WHERE mod(id, 200) = 0;
UPDATE orders SET status = 'failed', failure_reason = '{"code": "processing_error"}', settled_at = now()
    WHERE status = 'processing';
"""

SEEN = GROWING | {"webhook_deliveries", "webhook_attempts"}

# Each list as it opens and by its filters, frequent, rare and not there at all.
LISTS = (
    *("orders/", "orders/?before=5000", "orders/?q=77", "orders/?q=nothing", "orders/?q=nothing&before=5000"),
    *("orders/?status=pending", "orders/?status=failed", "orders/?status=cancelled", "orders/?until=2000-01-01"),
    *("orders/details/?id=5000", "items/", "items/?order=77", "items/?product=77", "products/details/?id=77"),
    *(
        "deliveries/",
        "deliveries/?state=exhausted",
        "deliveries/?state=pending",
        "deliveries/?state=disabled",
        "deliveries/?order=77",
    ),
    *("deliveries/?receiver=1", "parked/"),
)


@pytest.mark.usefixtures("_history")
def test_no_page_of_the_panel_reads_a_table(
    app: Flask, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Neither the dashboard nor a list, however rare what it is narrowed to; with bounds that are below the tables."""
    for name in ("ORDERS", "LINES", "ATTEMPTS", "FAILED", "COUNTED"):
        monkeypatch.setattr(figures, f"MOST_{name}", 100)
    monkeypatch.setattr(lists, "SCANNED", 100)
    sql(PANEL)
    if "analysed" in request.node.name:
        analyse(SEEN)
    create_people()
    viewer = Visitor(app)
    viewer.log_in(PEOPLE["viewer"])

    def visit(page: str) -> Callable[[], object]:
        return lambda: viewer.get(f"/admin/{page}").status_code

    assert [(page, found) for page in ("live/", *LISTS) if (found := breaches(visit(page), SEEN))] == []


@pytest.mark.parametrize(
    ("orders", "analysed"), [(1000, True), (1000, False), pytest.param(1_000_000, True, marks=pytest.mark.proof)]
)
def test_nothing_that_an_order_goes_through_scans_a_table(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, orders: int, *, analysed: bool
) -> None:
    """Neither a POST, a GET, a list, the feed, a batch that is settled, a rescue, nor a relay's window.

    A thousand products PostgreSQL would rather read than look for some of them, at each POST.
    """
    # A batch that is most of the table may read it.
    monkeypatch.setattr(positioning, "BATCH", min(positioning.BATCH, orders // 100))
    fill(orders, min(orders, PRODUCTS))
    sql("INSERT INTO outbox (queue, task, subject_id) SELECT 'orders', 'orders.process', id FROM orders")
    if analysed:
        analyse()
    relay = Relay(FakePublisher(), Envelopes(app.extensions["celery"]))
    said = {
        "POST": lambda: client.post("/api/orders/", json={"items": [{"product_id": 77, "quantity": 1}]}),
        "POST with a key": lambda: client.post(
            "/api/orders/", json={"items": [{"product_id": 77, "quantity": 1}]}, headers={"Idempotency-Key": "k"}
        ),
        "GET": lambda: client.get(f"/api/orders/{orders // 2}/"),
        "list": lambda: client.get("/api/orders/"),
        "list of pending": lambda: client.get("/api/orders/?status=pending"),
        "feed": lambda: client.get("/api/events/?limit=100"),
        "settle one": lambda: process_orders([100], a_task()),
        "settle what is open": lambda: process_orders(range(200, min(orders, 10_200), 100), a_task()),
        "rescue": rescue_orders,
        "relay": relay.relay_once,
    }
    assert {what: found for what, call in said.items() if (found := breaches(call))} == {}


@pytest.mark.usefixtures("_history")
def test_a_scan_would_be_seen() -> None:
    """The test's own test: a question without an index is found out."""
    with listening() as wire, reading() as session:
        session.execute(text("SELECT count(*) FROM orders WHERE currency = :currency"), {"currency": "EUR"})
    assert full_scans(wire.said[0]) == {"orders"}
