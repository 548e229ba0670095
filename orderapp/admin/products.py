"""Page: products. Stock is never set here, only moved, with a reason."""

from typing import Any

from flask import flash, redirect
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.actions import action
from flask_admin.helpers import get_form_data, validate_form_on_submit
from flask_admin.model import BaseModelView
from sqlalchemy import Row

from orderapp.admin import belongings, formats
from orderapp.admin.filters import Filter
from orderapp.admin.forms import NewProductForm, ProductForm, RestockForm
from orderapp.admin.page import PageView
from orderapp.admin.queries import Listing
from orderapp.database import reading
from orderapp.products import editing
from orderapp.products.changes import ProductChange


class ProductsView(PageView):
    """What is sold."""

    create_view, edit_view = BaseModelView.create_view, BaseModelView.edit_view
    action_view = BaseModelView.action_view
    column_list = ("id", "name", "price", "stock", "state")
    details_template = "panel/product.html"
    takes_reason = False
    empty = "No product fits. A first one: Create, or flask products seed."
    panel_filters = (Filter("q", "Number or name"), Filter("state", "State", "choice", ("on sale", "archived")))
    listing = Listing(
        "id, name, price, stock, archived_at, created_at,"
        " CASE WHEN archived_at IS NULL THEN 'on sale' ELSE 'archived' END AS state",
        "products",
        "id",
        {
            "q": "(id = :q_number OR name ILIKE :q)",
            "state": "(archived_at IS NULL) = (:state = 'on sale')",
        },
        table="products",
        sought=frozenset({"q"}),
    )

    def cell(self, row: Row[Any], column: str) -> Any:
        """Link the product's page."""
        if column in {"id", "name"}:
            return formats.link("admin_products.details_view", row.id, getattr(row, column))
        return formats.badge(row.state) if column == "state" else super().cell(row, column)

    def get_create_form(self) -> type[NewProductForm]:
        """Return the form of a new product."""
        return NewProductForm

    def get_edit_form(self) -> type[ProductForm]:
        """Return the form of name and price."""
        return ProductForm

    def create_model(self, form: Any) -> Any:
        """Create a product by its act."""

        def act() -> int:
            return editing.create_product(form.name.data.strip(), form.price.data, form.stock.data, actor=self.actor())

        product_id = self.attempt(form, act)
        return product_id is not None and self.get_one(product_id)

    def update_model(self, form: Any, model: Row[Any]) -> bool:
        """Change name and price by their act."""
        product_id = model.id
        change = ProductChange(form.name.data.strip(), form.price.data)

        def act() -> bool:
            editing.edit_product(product_id, change, self.actor())
            return True

        return self.attempt(form, act) is not None

    def delete_model(self, model: Row[Any]) -> bool:
        """Refuse: a product is archived, its history stays."""
        raise NotImplementedError

    def fits(self, row: Row[Any], name: str) -> bool:
        """Offer the one of the two that changes something."""
        return (name == "archive") == (row.archived_at is None)

    def more(self, row: Row[Any]) -> dict[str, Any]:
        """Add the latest lines of the ledger."""
        with reading() as session:
            return {"movements": belongings.movements_of_product(session, row.id)}

    @expose("/restock/", methods=("GET", "POST"))
    def restock_view(self) -> ResponseReturnValue:
        """Move stock by hand."""
        product = self.asked_row()
        if product is None:
            return redirect(self.get_url(".index_view"))
        back = self.get_url(".details_view", id=product.id)
        form = RestockForm(get_form_data())
        if validate_form_on_submit(form):
            quantity, reason = form.quantity.data, form.reason.data
            left = self.attempt(form, lambda: editing.restock_product(product.id, quantity, reason, self.actor()))
            if left is not None:
                flash(f"{product.name} now has {left} units.", "success")
                return redirect(back)
        heading = f"Restock {product.name}: {product.stock} units there"
        return self.render("panel/form.html", form=form, return_url=back, heading=heading)

    @action("archive", "Archive", "Take the chosen products off sale? Open orders for them still settle.")
    def archive(self, ids: list[str]) -> None:
        """Take products off sale."""
        self.act_on(ids, "Archived", lambda row_id, _reason: editing.archive_product(row_id, self.actor()))

    @action("unarchive", "Put back on sale")
    def unarchive(self, ids: list[str]) -> None:
        """Put products back on sale."""
        self.act_on(ids, "On sale again", lambda row_id, _reason: editing.archive_product(row_id, self.actor(), archived=False))
