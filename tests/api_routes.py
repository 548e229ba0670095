"""Every route under /api: whom it is for, and a request that is right. tests/test_access.py tries each against each client.

A new route fails there until it has a row here.
"""

from typing import Any, NamedTuple

from orderapp import access
from orderapp.access import NOBODY_IN_PARTICULAR as EVERYBODY


class Route(NamedTuple):
    """One method of one endpoint.

    ``scope``: what a key needs, empty for a route that is for everybody. ``owned``: its address names a thing of one
    client, a 404 to all others. ``status``: what a right request is answered. ``request``: what it carries.
    """

    scope: str
    status: int
    owned: bool = False
    request: dict[str, Any] = {}  # noqa: RUF012 - read only


# The parts of addresses are filled in by name: order_id is an order of Alice's for product 1, product_id another product.
ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "orders.place"): Route(access.ORDERS_WRITE, 201, request={"json": {"items": [{"product_id": 1, "quantity": 1}]}}),
    ("GET", "orders.show_all"): Route(access.ORDERS_READ, 200),
    ("GET", "orders.show"): Route(access.ORDERS_READ, 200, owned=True),
    ("GET", "orders.show_timeline"): Route(access.ORDERS_READ, 200, owned=True),
    ("POST", "orders.cancel"): Route(access.ORDERS_WRITE, 200, owned=True),
    ("GET", "events.feed"): Route(access.ORDERS_READ, 200),
    ("GET", "products.show_all"): Route(access.ORDERS_READ, 200),
    ("GET", "products.show"): Route(access.ORDERS_READ, 200),
    ("POST", "products.create"): Route(access.PRODUCTS_WRITE, 201, request={"json": {"name": "Mouse", "price": "1.00"}}),
    ("PATCH", "products.edit"): Route(access.PRODUCTS_WRITE, 200, request={"json": {"price": "2.00"}}),
    ("POST", "products.archive"): Route(access.PRODUCTS_WRITE, 200),
    ("POST", "products.restock"): Route(access.PRODUCTS_WRITE, 200, request={"json": {"quantity": 1, "reason": "found"}}),
    ("GET", "reference.openapi"): Route(EVERYBODY, 200),
    ("GET", "reference.docs"): Route(EVERYBODY, 200),
    ("GET", "reference.asset"): Route(EVERYBODY, 200),
    ("GET", "webhooks.show_all"): Route(access.WEBHOOKS_WRITE, 200),
    ("POST", "webhooks.create"): Route(access.WEBHOOKS_WRITE, 201, request={"json": {"url": "https://shop.example/hook"}}),
    ("GET", "webhooks.show"): Route(access.WEBHOOKS_WRITE, 200, owned=True),
    ("PATCH", "webhooks.edit"): Route(access.WEBHOOKS_WRITE, 200, owned=True, request={"json": {"description": "mine"}}),
    ("POST", "webhooks.rotate"): Route(access.WEBHOOKS_WRITE, 200, owned=True),
    ("POST", "webhooks.test"): Route(access.WEBHOOKS_WRITE, 202, owned=True),
    ("GET", "webhooks.show_deliveries"): Route(access.WEBHOOKS_WRITE, 200, owned=True),
    ("GET", "webhooks.show_attempts"): Route(access.WEBHOOKS_WRITE, 200, owned=True),
    ("POST", "webhooks.resend"): Route(access.WEBHOOKS_WRITE, 202, owned=True),
    ("POST", "webhooks.resend_fitting"): Route(
        access.WEBHOOKS_WRITE, 200, owned=True, request={"json": {"state": "exhausted"}}
    ),
    ("DELETE", "webhooks.delete"): Route(access.WEBHOOKS_WRITE, 204, owned=True),
    ("GET", "problems"): Route(EVERYBODY, 200),
    ("GET", "problem"): Route(EVERYBODY, 200),
    ("GET", "reports.daily_sales"): Route(access.REPORTS_READ, 200),
}
