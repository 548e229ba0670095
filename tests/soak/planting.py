"""Orders by the thousand, written as a POST writes them, in one statement."""

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


def plant(world: World, products: list[int], count: int, name: str = "planted") -> Answers:
    """Place so many orders of two products each; returns them as if clients had been answered."""
    return Answers(accepted=dict(world.rows(_PLANT, f"{name}-", count, products)))
