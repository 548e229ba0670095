"""The panel put together: the gate, the pages and their menu."""

from flask import Flask, Response, render_template
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from orderapp import errors
from orderapp.admin import gate, rights
from orderapp.admin.audit_log import AuditView
from orderapp.admin.dashboard import DashboardView
from orderapp.admin.deliveries import DeliveriesView
from orderapp.admin.endpoints import EndpointsView
from orderapp.admin.items import ItemsView
from orderapp.admin.orders import OrdersView
from orderapp.admin.parked import ParkedView
from orderapp.admin.products import ProductsView
from orderapp.admin.sales import SalesView
from orderapp.audit import AuditEntry
from orderapp.orders.models import Order, OrderItem
from orderapp.outbox.models import OutboxMessage
from orderapp.products.models import Product
from orderapp.webhooks.models import WebhookDelivery, WebhookEndpoint


def init_app(app: Flask) -> None:
    """Open the panel at /admin/; the roof has opened the door with the login."""
    gate.init_app(app)
    errors.show_pages(app, gate.PREFIX, _error_page)
    app.jinja_env.globals["may"] = rights.may
    app.jinja_env.globals["nonce"] = gate.nonce
    admin = Admin(
        app,
        name="orderapp",
        index_view=DashboardView(name="Dashboard"),
        theme=Bootstrap4Theme(base_template="panel/base.html", swatch="default", fluid=True),
        csp_nonce_generator=gate.nonce,
    )
    admin.add_view(OrdersView(Order, name="Orders", endpoint="admin_orders", url="orders"))
    admin.add_view(ItemsView(OrderItem, name="Order items", endpoint="admin_items", url="items"))
    admin.add_view(ProductsView(Product, name="Products", endpoint="admin_products", url="products"))
    admin.add_view(SalesView(name="Sales", endpoint="admin_sales", url="sales"))
    admin.add_view(DeliveriesView(WebhookDelivery, name="Webhooks", endpoint="admin_deliveries", url="deliveries"))
    admin.add_view(EndpointsView(WebhookEndpoint, name="Endpoints", endpoint="admin_endpoints", url="endpoints"))
    admin.add_view(ParkedView(OutboxMessage, name="Parked", endpoint="admin_parked", url="parked"))
    admin.add_view(AuditView(AuditEntry, name="Audit", endpoint="admin_audit", url="audit"))


def _error_page(status: int, title: str, detail: str) -> Response:
    # Without menu and user: with the database away, neither can be asked for.
    return Response(render_template("panel/error.html", status=status, title=title, detail=detail), status)
