"""Page: the lines of all orders. They never change after the POST."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from orderapp.admin import formats
from orderapp.admin.filters import Filter
from orderapp.admin.queries import Listing
from orderapp.admin.view import PanelView


class ItemsView(PanelView):
    """One row per product of an order."""

    column_list = ("id", "order_id", "product", "quantity", "unit_price")
    column_labels = {"id": "Line", "order_id": "Order", "unit_price": "Unit price"}  # noqa: RUF012 - Flask-Admin's own
    empty = "No line fits."
    panel_filters = (Filter("order", "Order", "number"), Filter("product", "Product number", "number"))
    listing = Listing(
        "i.id, i.order_id, i.product_id, p.name AS product, i.quantity, i.unit_price",
        "order_items i JOIN products p ON p.id = i.product_id",
        "i.id",
        {"order": "i.order_id = :order", "product": "i.product_id = :product"},
    )

    def list_of(self, wanted: dict[str, Any]) -> Listing:
        """Go through a product's lines by their orders, as its index does: an order has one of them at the most."""
        return replace(self.listing, key="i.order_id") if "product" in wanted else self.listing

    def cell(self, row: Row[Any], column: str) -> Any:
        """Link order and product."""
        if column == "order_id":
            return formats.link("admin_orders.details_view", row.order_id)
        if column == "product":
            return formats.link("admin_products.details_view", row.product_id, row.product)
        return super().cell(row, column)
