"""``flask audit`` on a large database: everything once, then only what changed."""

import time
from typing import Any
from uuid import uuid4

import click

from orderapp import create_app
from orderapp.database import db
from orderapp.orders.processing import process_orders
from tests.journeys.world import World
from tests.soak.account import audit
from tests.soak.load import Answers
from tests.soak.planting import plant
from tests.soak.shop import Shop, a_shop

# Seconds that an audit of what changed may take.
MOST = 2

# Orders that are settled between the two audits, and how many at a time.
CHANGED, BATCH = 2000, 100

# Orders written by one statement.
AT_ONCE = 100_000

# Orders lie back by seconds, so that hardly any is inside the margin of ten minutes that a mark keeps.
_BUILD = """
SET session_replication_role = replica;
INSERT INTO orders (id, client_id, reference, currency, status, total_amount, webhook_sent, task_id, attempts, last_sequence,
    created_at, settled_at)
SELECT n, 1, 'old-' || n, 'USD', 'confirmed', 5, true, gen_random_uuid(), 1, 2, at, at
FROM generate_series({low}, {high}) AS n, LATERAL (SELECT now() - make_interval(secs => {last} - n + 1000) AS at) AS t;
INSERT INTO order_items (order_id, product_id, quantity, unit_price)
SELECT n, p, 1, 2.5 FROM generate_series({low}, {high}) AS n, LATERAL (VALUES (1 + mod(n, 10)), (11 + mod(n, 10))) AS v(p);
INSERT INTO stock_movements (product_id, order_id, delta, kind, created_at)
SELECT p, n, -1, 'sale', now() - make_interval(secs => {last} - n + 1000)
FROM generate_series({low}, {high}) AS n, LATERAL (VALUES (1 + mod(n, 10)), (11 + mod(n, 10))) AS v(p);
INSERT INTO order_events (id, order_id, sequence, type, data, occurred_at)
SELECT uuidv7(make_interval(secs => n - {last} - 1000)), n, s, CASE s WHEN 1 THEN 'order.placed' ELSE 'order.confirmed' END,
    CASE s WHEN 1 THEN '{{}}' ELSE '{{"total_amount": "5.00"}}' END::jsonb, now() - make_interval(secs => {last} - n + 1000)
FROM generate_series({low}, {high}) AS n, generate_series(1, 2) AS s;
INSERT INTO webhook_deliveries (id, order_id, event_id, state, attempt, finished_at)
SELECT order_id, order_id, id, 'succeeded', 1, occurred_at FROM order_events
WHERE order_id BETWEEN {low} AND {high} AND sequence = 2;
INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code)
SELECT n, 1, now() - make_interval(secs => {last} - n + 1000), 5, 200 FROM generate_series({low}, {high}) AS n;
SET session_replication_role = origin;
"""

_FINISH = """
UPDATE products SET stock = (SELECT sum(delta) FROM stock_movements WHERE product_id = products.id);
SELECT setval(pg_get_serial_sequence('orders', 'id'), {last}),
    setval(pg_get_serial_sequence('webhook_deliveries', 'id'), {last})
"""


def million(count: int) -> bool:
    """Build so many orders, audit all, settle some more, audit what changed; returns whether that is quick enough."""
    with a_shop() as shop:
        products = build(shop.world, count)
        full = _timed(shop, "--full")
        nothing = _timed(shop)
        _settle(plant(shop.world, products, CHANGED))
        changed = _timed(shop)
    return full["consistent"] and changed["consistent"] and max(nothing["seconds"], changed["seconds"]) < MOST


def build(world: World, count: int) -> list[int]:
    """Write so many confirmed orders with all that belongs to them, a second apart; returns the ids of their products."""
    products = [world.product(count) for _ in range(20)]
    world.rows("SET statement_timeout = 0")
    for low in range(1, count + 1, AT_ONCE):
        world.rows(_BUILD.format(low=low, high=min(low + AT_ONCE - 1, count), last=count))
        click.echo(f"{min(low + AT_ONCE - 1, count)} orders are there")
    world.rows(_FINISH.format(last=count))
    world.rows("VACUUM ANALYZE")
    return products


def _settle(answers: Answers) -> None:
    ids = sorted(answers.accepted.values())
    app = create_app()
    with app.app_context():
        for start in range(0, len(ids), BATCH):
            process_orders(ids[start : start + BATCH], str(uuid4()))
        db.engine.dispose()


def _timed(shop: Shop, *options: str) -> dict[str, Any]:
    began = time.monotonic()
    report = audit(shop.world, *options)
    took = time.monotonic() - began
    what = "everything" if options else "what changed"
    verdict = "consistent" if report["consistent"] else f"NOT consistent: {report['violations']}"
    click.echo(f"audit of {what}: {report['orders']} orders in {report['seconds']:.2f} s ({took:.1f} s in all), {verdict}")
    return report
