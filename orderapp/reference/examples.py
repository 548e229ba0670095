"""What the description shows beside the shapes: examples, headers, where an answer leads, and the webhooks."""

from typing import Any

ORDER = {
    "id": 1,
    "status": "pending",
    "total_amount": None,
    "currency": "USD",
    "reference": "PO-1",
    "webhook_sent": False,
    "items": [
        {"id": 1, "product": "Laptop", "product_id": 1, "quantity": 2, "unit_price": "55000.00"},
        {"id": 2, "product": "Mouse", "product_id": 2, "quantity": 1, "unit_price": "500.00"},
    ],
    "failure_reason": None,
    "created_at": "2026-01-31T12:00:00.000000Z",
}

CONFIRMED = ORDER | {"status": "confirmed", "total_amount": "110500.00"}

SHORTAGES = [{"product_id": 1, "requested": 20, "available": 10}]

OUTCOMES: dict[str, dict[str, Any]] = {
    "order.confirmed": CONFIRMED,
    "order.failed": ORDER | {"status": "failed", "failure_reason": {"code": "insufficient_stock", "shortages": SHORTAGES}},
    "order.cancelled": CONFIRMED | {"status": "cancelled"},
}

PROBLEM = {
    "type": "/api/problems/invalid-input/",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "The request has faults; each is listed under errors.",
    "request_id": "0198f1f0-0000-7000-8000-000000000000",
    "errors": [
        {"pointer": "/items/0/quantity", "detail": "Must be greater than or equal to 1 and less than or equal to 1000000."}
    ],
}

# What a right request carries; the tests send it.
REQUESTS: dict[str, dict[str, Any]] = {
    "orders_place": {"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}], "reference": "PO-1"},
    "products_create": {"name": "Lamp", "price": "12.50", "stock": 10},
    "products_edit": {"price": "11.90"},
    "products_restock": {"quantity": 5, "reason": "delivery"},
}

ANSWERS: dict[str, Any] = {
    "orders_place": ORDER,
    "orders_show": CONFIRMED,
    "orders_show_all": {"data": [CONFIRMED], "next": None},
}

# operation: the operations that its answer's id leads to, and what they call it.
LINKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "orders_place": ("order_id", ("orders_show", "orders_cancel", "orders_show_timeline")),
    "products_create": ("product_id", ("products_show", "products_edit", "products_archive", "products_restock")),
}

HEADERS: dict[str, dict[str, str]] = {
    "orders_place": {"Location": "Where the order is.", "Idempotency-Replayed": "true: this is the first answer once more."},
    "products_create": {"Location": "Where the product is.", "ETag": "Its version."},
    "products_show": {"ETag": "The version: name, price and archived, not stock."},
    "products_edit": {"ETag": "The new version."},
    "products_archive": {"ETag": "The new version."},
    "products_restock": {"ETag": "The version, which a restock leaves as it is."},
}

# Operations that take If-Match.
GUARDED = ("products_edit", "products_archive")
