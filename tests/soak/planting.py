"""Orders by the thousand as a POST writes them, and webhooks by the thousand as settling leaves them, in one statement."""

from tests.journeys.world import World
from tests.soak.load import Answers

_PLANT = """
WITH given AS (
    SELECT CAST(%s AS text) AS name, CAST(%s AS integer) AS count, CAST(%s AS bigint[]) AS products
), placed AS (
    INSERT INTO orders (client_id, reference, currency, rescue_at)
    SELECT 1, name || n, 'USD', clock_timestamp() + interval '30 seconds' FROM given, generate_series(1, count) AS n
    RETURNING id, reference
), lines AS (
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT placed.id, products.id, 1, products.price
    FROM placed CROSS JOIN given CROSS JOIN LATERAL (
        SELECT mod(placed.id, cardinality(given.products)) AS first,
            mod(placed.id + 1 + mod(placed.id, 3), cardinality(given.products)) AS second) AS chosen
    JOIN products ON products.id IN (given.products[1 + first], given.products[1 + second])
), events AS (
    INSERT INTO order_events (id, order_id, sequence, type) SELECT uuidv7(), id, 1, 'order.placed' FROM placed
), messages AS (
    INSERT INTO outbox (queue, task, subject_id) SELECT 'orders', 'orders.process', id FROM placed
)
SELECT reference, id FROM placed
"""

# Past the triggers that let orders only begin pending. %s: the endpoint, how many, two products, and whether they wait for
# the receiver as they do behind an open breaker; else each has its message.
DUE_WEBHOOKS = """
SET LOCAL session_replication_role = replica;
WITH given AS (
    SELECT CAST(%s AS bigint) AS endpoint, CAST(%s AS integer) AS count, CAST(%s AS bigint) AS one, CAST(%s AS bigint) AS other,
        CAST(%s AS boolean) AS waiting
), settled AS (
    INSERT INTO orders (client_id, currency, status, total_amount, last_sequence, attempts, created_at, settled_at)
    SELECT 1, 'USD', 'confirmed', 5, 2, 1, clock_timestamp(), clock_timestamp() FROM given, generate_series(1, count)
    RETURNING id
), lines AS (
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT id, product, 1, 2.50 FROM settled, given, unnest(ARRAY[one, other]) AS product
), sold AS (
    INSERT INTO stock_movements (product_id, order_id, delta, kind)
    SELECT product, id, -1, 'sale' FROM settled, given, unnest(ARRAY[one, other]) AS product
), taken AS (
    UPDATE products SET stock = stock - count FROM given WHERE id IN (one, other)
), placed AS (
    INSERT INTO order_events (id, order_id, sequence, type) SELECT uuidv7(), id, 1, 'order.placed' FROM settled
), confirmed AS (
    INSERT INTO order_events (id, order_id, sequence, type, data)
    SELECT uuidv7(), id, 2, 'order.confirmed', '{"total_amount": "5.00"}' FROM settled RETURNING id, order_id
), deliveries AS (
    INSERT INTO webhook_deliveries (order_id, event_id, endpoint_id, rescue_at, waiting)
    SELECT order_id, confirmed.id, endpoint, clock_timestamp() + interval '30 seconds', waiting FROM confirmed, given
    RETURNING id
), messages AS (
    INSERT INTO outbox (queue, task, subject_id)
    SELECT 'webhooks', 'webhooks.deliver', id FROM deliveries, given WHERE NOT waiting
)
SELECT min(id), max(id) FROM deliveries
"""


def plant(world: World, products: list[int], count: int, name: str = "planted") -> Answers:
    """Place so many orders of two products each; returns them as if clients had been answered."""
    return Answers(accepted=dict(world.rows(_PLANT, f"{name}-", count, products)))
