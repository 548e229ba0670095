-- What PostgreSQL can do for settling one order of two products, by hand, in one transaction: claim, lock the products in the
-- order of their ids, ledger, stock, total, status, event. Variables base and step deal the orders out to the clients.
-- Fixed: never adjusted to what the service does.
\set turn :turn + 1
\set order_id :base + :client_id + :step * (:turn - 1)
BEGIN;
UPDATE orders SET status = 'processing', task_id = gen_random_uuid(), attempts = attempts + 1,
    lease_until = clock_timestamp() + interval '15 seconds', rescue_at = clock_timestamp() + interval '15 seconds'
WHERE id = :order_id AND status = 'pending';
SELECT products.id FROM products JOIN order_items ON order_items.product_id = products.id
WHERE order_items.order_id = :order_id ORDER BY products.id FOR NO KEY UPDATE OF products;
WITH lines AS (
    SELECT product_id, quantity, unit_price FROM order_items WHERE order_id = :order_id
), moved AS (
    INSERT INTO stock_movements (product_id, order_id, delta, kind) SELECT product_id, :order_id, -quantity, 'sale' FROM lines
), taken AS (
    UPDATE products SET stock = stock - lines.quantity FROM lines WHERE products.id = lines.product_id
), settled AS (
    UPDATE orders SET status = 'confirmed', total_amount = (SELECT sum(quantity * unit_price) FROM lines),
        settled_at = clock_timestamp(), lease_until = NULL, rescue_at = NULL, last_sequence = last_sequence + 1
    WHERE id = :order_id AND status = 'processing' RETURNING id, last_sequence, total_amount
)
INSERT INTO order_events (id, order_id, sequence, type, data)
SELECT gen_random_uuid(), id, last_sequence, 'order.confirmed', jsonb_build_object('total_amount', total_amount) FROM settled;
COMMIT;
