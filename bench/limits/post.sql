-- What PostgreSQL can do for a POST of two products, by hand: one statement, the same rows as the service writes (order, lines,
-- event, outbox row), no validation. Fixed: never adjusted to what the service does.
\set first random(3, 999)
\set second random(:first + 1, 1000)
WITH placed AS (
    INSERT INTO orders (client_id, currency, rescue_at)
    VALUES (1, 'USD', clock_timestamp() + interval '30 seconds') RETURNING id
), lines AS (
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT placed.id, products.id, 1, products.price FROM placed, products WHERE products.id IN (:first, :second)
), event AS (
    INSERT INTO order_events (id, order_id, sequence, type) SELECT gen_random_uuid(), id, 1, 'order.placed' FROM placed
)
INSERT INTO outbox (queue, task, subject_id) SELECT 'orders', 'orders.process', id FROM placed;
