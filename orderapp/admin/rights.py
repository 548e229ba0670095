"""Who may do what: the lowest role for each endpoint of the panel. What is not listed here is refused to everybody."""

from orderapp.accounts.guard import visitor
from orderapp.accounts.roles import OPERATOR, SUPERUSER, VIEWER

# Needs no login: the way in, and files without secrets.
EVERYBODY = "everybody"

RIGHTS = {
    "panel.login": EVERYBODY,
    "panel.log_in": EVERYBODY,
    "panel.static": EVERYBODY,
    "admin.static": EVERYBODY,
    "panel.log_out": VIEWER,
    "admin.index": VIEWER,
    "admin.live_view": VIEWER,
    "admin_orders.index_view": VIEWER,
    "admin_orders.details_view": VIEWER,
    "admin_orders.action_view": OPERATOR,
    "admin_items.index_view": VIEWER,
    "admin_products.index_view": VIEWER,
    "admin_products.details_view": VIEWER,
    "admin_products.restock_view": OPERATOR,
    "admin_products.create_view": SUPERUSER,
    "admin_products.edit_view": SUPERUSER,
    "admin_products.action_view": SUPERUSER,
    "admin_sales.index_view": VIEWER,
    "admin_sales.revenue_view": VIEWER,
    "admin_sales.orders_view": VIEWER,
    "admin_deliveries.index_view": VIEWER,
    "admin_deliveries.action_view": OPERATOR,
    "admin_endpoints.index_view": VIEWER,
    "admin_endpoints.action_view": OPERATOR,
    "admin_endpoints.create_view": SUPERUSER,
    "admin_endpoints.edit_view": SUPERUSER,
    "admin_endpoints.rotate_view": SUPERUSER,
    "admin_parked.index_view": VIEWER,
    "admin_parked.action_view": OPERATOR,
    "admin_audit.index_view": SUPERUSER,
}


def may(endpoint: str) -> bool:
    """Tell whether the visitor may use this endpoint."""
    needed = RIGHTS.get(endpoint)
    who = visitor()
    return needed == EVERYBODY or (needed is not None and who is not None and who.may(needed))
