"""Tables with something in every one of them, and a request for every endpoint of the panel."""

from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import Any

from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.products.editing import archive_product, create_product
from orderapp.reports.days import today
from orderapp.reports.summarising import summarise_day
from orderapp.webhooks.drafts import Draft
from orderapp.webhooks.registering import create_endpoint
from tests.orders.examples import a_task, placed
from tests.sql import one, sql

# What a stranger may have typed where only words belong.
SCRIPT = "<script>alert('x')</script>"

# Where nothing listens; nobody asks a name server for it before a worker sends there.
HOOK = "https://receiver.example/hook"

# What an endpoint may hear of; the one that ``fill`` makes hears of all.
ONE = "order.failed"

LISTS = ("orders", "items", "products", "sales", "deliveries", "endpoints", "parked", "audit")


@dataclass(frozen=True)
class Rows:
    """The ids of what ``fill`` made."""

    product: int
    archived: int
    pending: int
    confirmed: int
    failed: int
    cancelled: int
    parked: int
    delivery: int
    endpoint: int


def fill() -> Rows:
    """Make a product on sale and one archived, an order of each outcome, a parked message, a delivery given up, a day."""
    product = create_product(SCRIPT, Decimal("2.50"), 10)
    archived = create_product("Old lamp", Decimal(1), 0)
    archive_product(archived, "cli:me")
    confirmed, failed, cancelled = (placed((product, units), reference=SCRIPT) for units in (2, 11, 3))
    process_orders([confirmed, failed, cancelled], a_task())
    cancel_order(cancelled, "cli:me", SCRIPT)
    pending = placed((product, 1), reference="PO-7")
    sql("UPDATE webhook_deliveries SET state = 'exhausted', attempt = 10, finished_at = clock_timestamp()")
    delivery = one("SELECT id FROM webhook_deliveries WHERE order_id = %(id)s", id=confirmed)
    columns = "delivery_id, attempt, started_at, duration_ms, error"
    sql(f"INSERT INTO webhook_attempts ({columns}) VALUES (%(id)s, 1, now(), 5, %(x)s)", id=delivery, x=SCRIPT)
    parked = one("SELECT id FROM outbox WHERE subject_id = %(id)s AND task = 'orders.process'", id=pending)
    sql("UPDATE outbox SET parked_at = now(), error = %(x)s WHERE id = %(id)s", id=parked, x=SCRIPT)
    summarise_day(today(UTC), UTC, "USD")
    endpoint = create_endpoint(Draft(HOOK, description=SCRIPT), None, frozenset(), "cli:me").id
    return Rows(product, archived, pending, confirmed, failed, cancelled, parked, delivery, endpoint)


@dataclass(frozen=True)
class Request:
    """How one endpoint is asked: its path, and the forms that change something there."""

    path: str
    forms: tuple[dict[str, Any], ...] = field(default=())


def requests_for(rows: Rows) -> dict[str, Request]:
    """Return a request for every endpoint but the login's and the static files'. A new endpoint needs an entry here."""
    products, orders, endpoints = "/admin/products/", "/admin/orders/", "/admin/endpoints/"
    return {
        "admin.index": Request("/admin/"),
        "admin.live_view": Request("/admin/live/"),
        **{f"admin_{name}.index_view": Request(f"/admin/{name}/") for name in LISTS},
        **{f"admin_sales.{name}_view": Request(f"/admin/sales/{name}.svg?currency=USD") for name in ("revenue", "orders")},
        "panel.log_out": Request("/admin/logout/", ({},)),
        "admin_orders.details_view": Request(f"{orders}details/?id={rows.confirmed}"),
        "admin_orders.action_view": Request(
            f"{orders}action/",
            (
                {"action": "cancel", "rowid": rows.confirmed},
                {"action": "retry", "rowid": rows.failed},
                {"action": "resend", "rowid": rows.cancelled},
            ),
        ),
        "admin_products.details_view": Request(f"{products}details/?id={rows.product}"),
        "admin_products.create_view": Request(f"{products}new/", ({"name": "Lamp", "price": "3.00", "stock": "4"},)),
        "admin_products.edit_view": Request(f"{products}edit/?id={rows.product}", ({"name": "Lamp", "price": "3.00"},)),
        "admin_products.restock_view": Request(f"{products}restock/?id={rows.product}", ({"quantity": "5", "reason": "x"},)),
        "admin_products.action_view": Request(
            f"{products}action/",
            ({"action": "archive", "rowid": rows.product}, {"action": "unarchive", "rowid": rows.archived}),
        ),
        "admin_deliveries.action_view": Request("/admin/deliveries/action/", ({"action": "resend", "rowid": rows.delivery},)),
        "admin_endpoints.action_view": Request("/admin/endpoints/action/", ({"action": "disable", "rowid": 1},)),
        "admin_endpoints.create_view": Request(f"{endpoints}new/", ({"address": HOOK, "event_types": ONE},)),
        "admin_endpoints.edit_view": Request(f"{endpoints}edit/?id={rows.endpoint}", ({"address": HOOK, "event_types": ONE},)),
        "admin_endpoints.rotate_view": Request(f"{endpoints}rotate/?id={rows.endpoint}", ({},)),
        "admin_parked.action_view": Request(
            "/admin/parked/action/",
            (
                {"action": "discard", "rowid": rows.parked, "reason": "a test"},
                {"action": "retry", "rowid": rows.parked, "reason": "a test"},
            ),
        ),
    }
