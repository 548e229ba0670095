"""Violations of every kind, as SQL over a database in every state; and what looks like one and is none."""

NO_SALES = "DELETE FROM stock_movements WHERE order_id = {id}; "
RESTOCK = "UPDATE products SET stock = (SELECT sum(delta) FROM stock_movements WHERE product_id = products.id);"
SELL = "INSERT INTO stock_movements (product_id, order_id, delta, kind) VALUES ({product}, {id}, -1, 'sale'); "
UNTELL = "UPDATE orders SET webhook_sent = false WHERE id = {id}; "
FREE = "ALTER TABLE {table} DROP CONSTRAINT {name}; "
TWICE = FREE.format(table="stock_movements", name="stock_movements_order_id_product_id_kind_key")
AGAIN = FREE.format(table="order_events", name="order_events_order_id_sequence_key")
NO_RESCUE = FREE.format(table="orders", name="orders_open_can_be_rescued")
NO_TOTAL = FREE.format(table="orders", name="orders_confirmed_has_total")
NO_CLAIM = FREE.format(table="orders", name="orders_processing_is_claimed")
NO_REASON = FREE.format(table="orders", name="orders_failed_has_reason")
NO_WAKE = FREE.format(table="webhook_deliveries", name="deliveries_pending_can_be_rescued")
NO_MESSAGE = "DELETE FROM outbox; "
COPY_SALE = (
    TWICE + "INSERT INTO stock_movements (product_id, order_id, delta, kind)"
    " SELECT product_id, order_id, delta, kind FROM stock_movements WHERE order_id = {id} AND kind = 'sale'; " + RESTOCK
)
EVENT = "INSERT INTO order_events (id, order_id, sequence, type) VALUES (gen_random_uuid(), {id}, {sequence}, '{type}'); "
UNTELL_FAILURE = (
    "DELETE FROM webhook_deliveries USING order_events e WHERE event_id = e.id AND e.order_id = {id} AND sequence = 2;"
    " DELETE FROM order_events WHERE order_id = {id} AND sequence = 2"
)
UNTELL_CANCEL = (
    "DELETE FROM webhook_deliveries d USING order_events e WHERE d.event_id = e.id AND e.order_id = {id}"
    " AND e.type = 'order.cancelled'"
)
TELL_PLACED = (
    "INSERT INTO webhook_deliveries (order_id, event_id, rescue_at) SELECT order_id, id, now() FROM order_events"
    " WHERE order_id = {id}"
)
CLAIM_SUCCESS = (
    "UPDATE webhook_deliveries SET state = 'succeeded' WHERE order_id = {id};"
    " UPDATE orders SET webhook_sent = true WHERE id = {id}"
)

# What is broken, in which order, how it is planted, and which invariants say so.
PLANTED = {
    "stock set by hand": ("confirmed", "UPDATE products SET stock = stock - 1 WHERE id = {product}", "stock_not_ledger"),
    "a movement nobody applied": (
        "confirmed",
        "INSERT INTO stock_movements (product_id, delta, kind) VALUES ({product}, 5, 'restock')",
        "stock_not_ledger",
    ),
    "a product without a ledger": (
        "confirmed",
        "INSERT INTO products (name, price, stock) VALUES ('x', 1, 4)",
        "stock_not_ledger",
    ),
    "no lines": (
        "pending",
        "DELETE FROM order_items WHERE order_id = {id}",
        "order_without_lines",
    ),
    "a sale missing": ("confirmed", NO_SALES + RESTOCK, "sale_wrong"),
    "one sale of two missing": (
        "told",
        "DELETE FROM stock_movements WHERE order_id = {id} AND product_id = {product}; " + RESTOCK,
        "sale_wrong",
    ),
    "a sale twice": ("confirmed", COPY_SALE, "sale_wrong"),
    "a sale of too little": (
        "confirmed",
        "UPDATE stock_movements SET delta = delta + 1 WHERE order_id = {id}; " + RESTOCK,
        "sale_wrong",
    ),
    "a sale of a cancelled order missing": ("cancelled", NO_SALES + RESTOCK, "sale_wrong"),
    "a failed order that sold": ("failed", SELL + RESTOCK, "failed_moved_stock"),
    "a failed order that sold and returned": (
        "failed",
        SELL + SELL.replace("-1, 'sale'", "1, 'return'") + RESTOCK,
        "failed_moved_stock",
    ),
    "a pending order that sold": ("pending", SELL + RESTOCK, "open_moved_stock"),
    "a claimed order that sold": ("died", SELL + RESTOCK, "open_moved_stock"),
    "a cancelled order that returned nothing": (
        "cancelled",
        "DELETE FROM stock_movements WHERE order_id = {id} AND kind = 'return'; " + RESTOCK,
        "cancelled_not_returned",
    ),
    "a cancelled order that returned too much": (
        "cancelled",
        "UPDATE stock_movements SET delta = delta + 1 WHERE order_id = {id} AND kind = 'return'; " + RESTOCK,
        "cancelled_not_returned",
    ),
    "an order cancelled while pending that sold": ("cancelled while pending", SELL + RESTOCK, "cancelled_not_returned"),
    "a return without a cancellation": (
        "confirmed",
        SELL.replace("-1, 'sale'", "3, 'return'") + RESTOCK,
        "returned_without_cancel",
    ),
    "a sale of what was not ordered": (
        "confirmed",
        SELL.replace("{product}", "{rare}") + RESTOCK,
        "movement_not_ordered sale_wrong",
    ),
    "an event missing in between": (
        "second time lucky",
        UNTELL_FAILURE,
        "events_not_gap_free events_not_legal",
    ),
    "an event behind the last": ("confirmed", "UPDATE orders SET last_sequence = 1 WHERE id = {id}", "events_not_gap_free"),
    "an event before the last missing": (
        "confirmed",
        "UPDATE orders SET last_sequence = 3 WHERE id = {id}",
        "events_not_gap_free",
    ),
    "a number twice": (
        "told",
        AGAIN + "UPDATE order_events SET sequence = 3 WHERE order_id = {id} AND sequence = 2; "
        "UPDATE orders SET last_sequence = 3 WHERE id = {id}; "
        + EVENT.replace("{sequence}", "1").replace("{type}", "order.placed"),
        "events_not_gap_free events_not_legal",
    ),
    "no event at all": (
        "pending",
        "DELETE FROM order_events WHERE order_id = {id}",
        "events_not_gap_free events_not_legal",
    ),
    "a confirmation after the cancellation": (
        "cancelled while pending",
        EVENT.replace("{sequence}", "3").replace("{type}", "order.reopened")
        + "UPDATE orders SET last_sequence = 3 WHERE id = {id}",
        "events_not_legal",
    ),
    "a status that the events do not tell": (
        "failed",
        "UPDATE orders SET status = 'cancelled', failure_reason = NULL WHERE id = {id}",
        "events_not_legal",
    ),
    "a total of another amount": ("confirmed", "UPDATE orders SET total_amount = 7.49 WHERE id = {id}", "total_not_lines"),
    "a total that the event does not tell": (
        "confirmed",
        "UPDATE order_events SET data = '{{}}' WHERE order_id = {id} AND sequence = 2",
        "total_not_lines",
    ),
    "a confirmed order without a total": (
        "confirmed",
        NO_TOTAL + "UPDATE orders SET total_amount = NULL WHERE id = {id}",
        "total_not_lines",
    ),
    "a cancelled order that lost its total": (
        "cancelled",
        "UPDATE orders SET total_amount = 0 WHERE id = {id}",
        "total_not_lines",
    ),
    "a failed order with a total": ("failed", "UPDATE orders SET total_amount = 1 WHERE id = {id}", "total_not_lines"),
    "a price changed after the sale": (
        "told",
        "UPDATE order_items SET unit_price = 1 WHERE order_id = {id}",
        "total_not_lines",
    ),
    "a failed order without a reason": (
        "failed",
        NO_REASON + "UPDATE orders SET failure_reason = NULL WHERE id = {id}",
        "state_contradicts",
    ),
    "a confirmed order with a reason": (
        "confirmed",
        "UPDATE orders SET failure_reason = '{{}}' WHERE id = {id}",
        "state_contradicts",
    ),
    "a final order never settled": ("confirmed", "UPDATE orders SET settled_at = NULL WHERE id = {id}", "state_contradicts"),
    "an open order settled": ("pending", "UPDATE orders SET settled_at = now() WHERE id = {id}", "state_contradicts"),
    "a claim of nobody": ("died", NO_CLAIM + "UPDATE orders SET task_id = NULL WHERE id = {id}", "state_contradicts"),
    "a claim without an attempt": ("died", "UPDATE orders SET attempts = 0 WHERE id = {id}", "state_contradicts"),
    "a lease on a final order": ("confirmed", "UPDATE orders SET lease_until = now() WHERE id = {id}", "state_contradicts"),
    "an outcome that nobody is told": (
        "failed",
        "DELETE FROM webhook_deliveries WHERE order_id = {id}",
        "delivery_missing",
    ),
    "one outcome of two that nobody is told": (
        "told and cancelled",
        UNTELL_CANCEL,
        "delivery_missing",
    ),
    "a delivery of no outcome": (
        "pending",
        TELL_PLACED,
        "delivery_unfounded",
    ),
    "a delivery of another order's outcome": (
        "confirmed",
        "UPDATE webhook_deliveries SET order_id = {other} WHERE order_id = {id}",
        "delivery_missing delivery_unfounded@other",
    ),
    "success without an answer": (
        "confirmed",
        CLAIM_SUCCESS,
        "delivery_unproven",
    ),
    "an answer without success": (
        "told",
        "UPDATE webhook_deliveries SET state = 'exhausted' WHERE order_id = {id}; " + UNTELL,
        "delivery_unproven",
    ),
    "sent, says the order": ("confirmed", "UPDATE orders SET webhook_sent = true WHERE id = {id}", "webhook_sent_wrong"),
    "not sent, says the order": ("told", UNTELL, "webhook_sent_wrong"),
    "sent, of an outcome before the last": (
        "told and cancelled",
        "UPDATE orders SET webhook_sent = true WHERE id = {id}",
        "webhook_sent_wrong",
    ),
    "nothing that moves the order on": (
        "pending",
        NO_RESCUE + NO_MESSAGE + "UPDATE orders SET rescue_at = NULL WHERE id = {id}",
        "open_without_way_forward",
    ),
    "a rescue next year": (
        "pending",
        NO_MESSAGE + "UPDATE orders SET rescue_at = now() + interval '1 year' WHERE id = {id}",
        "open_without_way_forward",
    ),
    "only a parked message": (
        "pending",
        "UPDATE outbox SET parked_at = now(); UPDATE orders SET rescue_at = now() + interval '1 year' WHERE id = {id}",
        "open_without_way_forward",
    ),
    "a rescue long overdue": (
        "pending",
        "UPDATE orders SET rescue_at = now() - interval '16 min' WHERE id = {id}",
        "stuck",
    ),
    "a claim long lapsed": (
        "died",
        "UPDATE orders SET rescue_at = now() - interval '16 min', lease_until = now() - interval '16 min' WHERE id = {id}",
        "stuck",
    ),
    "nothing that moves a delivery on": (
        "delivery",
        NO_WAKE + NO_MESSAGE + "UPDATE webhook_deliveries SET rescue_at = NULL WHERE id = {id}",
        "delivery_without_way_forward",
    ),
    "a delivery long overdue": (
        "delivery",
        "UPDATE webhook_deliveries SET rescue_at = now() - interval '16 min' WHERE id = {id}",
        "delivery_stuck",
    ),
}

# Not wrong: the same words as above, with what makes them right.
HARMLESS = {
    "no rescue and a message": NO_RESCUE + "UPDATE orders SET rescue_at = NULL WHERE id = {pending}",
    "no rescue and a lease": NO_RESCUE + NO_MESSAGE + "UPDATE orders SET rescue_at = NULL, lease_until = now() + interval '9 s'"
    " WHERE id = {died}",
    "a rescue a little late": "UPDATE orders SET rescue_at = now() - interval '14 min' WHERE id = {pending}",
    "an overdue rescue of a live claim": "UPDATE orders SET rescue_at = now() - interval '1 day',"
    " lease_until = now() + interval '9 s' WHERE id = {died}",
    "a delivery due tomorrow": "UPDATE webhook_deliveries SET rescue_at = now() + interval '26 hours' WHERE state = 'pending'",
}
