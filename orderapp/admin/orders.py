"""Page: orders. Their fields are read-only; what an operator does to one goes through the act of that name."""

from typing import Any

from flask import current_app
from flask_admin.actions import action
from flask_admin.model import BaseModelView
from sqlalchemy import Row

from orderapp.admin import belongings, formats, named, rights, story
from orderapp.admin.deliveries import resend_delivery
from orderapp.admin.filters import Filter
from orderapp.admin.page import PageView
from orderapp.admin.queries import Listing, Page, Window
from orderapp.database import reading
from orderapp.errors import ConflictError
from orderapp.orders import cancelling, retrying
from orderapp.webhooks import queries as webhook_queries
from orderapp.webhooks.queries import Wanted

STATUSES = ("pending", "processing", "confirmed", "failed", "cancelled")

# Deliveries of one order that are shown or sent again: an order has one per outcome, and few outcomes.
MOST_DELIVERIES = 50


class OrdersView(PageView):
    """All orders, of every client."""

    action_view = BaseModelView.action_view
    column_list = ("id", "reference", "status", "total_amount", "webhook_sent", "created_at", "settled_at")
    column_labels = {  # noqa: RUF012 - Flask-Admin's own declaration
        "id": "Order",
        "total_amount": "Total",
        "webhook_sent": "Webhook",
        "created_at": "Placed",
        "settled_at": "Settled",
    }
    details_template = "panel/order.html"
    empty = "No order fits. A first one: POST /api/orders/"
    panel_filters = (
        Filter("q", "Number or reference"),
        Filter("status", "Status", "choice", STATUSES),
        Filter("since", "Placed from", "date"),
        Filter("until", "to", "date"),
    )
    listing = Listing(
        "orders.*",
        "orders",
        "id",
        {
            "named": "id = ANY(:named)",
            "q": "reference ILIKE :q",
            "status": "status = :status",
            "since": "created_at >= CAST(:since AS timestamp) AT TIME ZONE 'UTC'",
            "until": "created_at < (CAST(:until AS timestamp) + interval '1 day') AT TIME ZONE 'UTC'",
            "since_id": "id >= :since_id",
            "until_id": "id < :until_id",
        },
        table="orders",
        sought=frozenset({"q"}),
    )

    def read_page(self, wanted: dict[str, Any], window: Window) -> Page:
        """Read one page: what a search names exactly, or else what has a reference that contains the words."""
        with reading() as session:
            exact = named.orders_named(session, wanted["q"]) if wanted.get("q") else []
            wanted |= named.ids_of_days(session, wanted.get("since"), wanted.get("until"))
        if exact:
            wanted |= {"q": None, "named": exact}
        return super().read_page(wanted, window)

    def cell(self, row: Row[Any], column: str) -> Any:
        """Link the order's page."""
        if column == "id":
            return formats.link("admin_orders.details_view", row.id)
        if column == "status":
            return formats.badge(row.status)
        if column == "total_amount" and row.total_amount is not None:
            return f"{row.total_amount:,} {row.currency}"
        if column == "webhook_sent":
            return "sent" if row.webhook_sent else formats.cell(None)
        return super().cell(row, column)

    def fits(self, row: Row[Any], name: str) -> bool:
        """Offer what can work in this status."""
        if name == "resend":
            return row.settled_at is not None and not row.webhook_sent
        return row.status in {"cancel": {"pending", "confirmed"}, "retry": {"failed"}}[name]

    def more(self, row: Row[Any]) -> dict[str, Any]:
        """Add its lines, its story, its deliveries and the messages that wait."""
        with reading() as session:
            lines = belongings.lines_of_order(session, row.id)
            names = {line.product_id: line.name for line in lines}
            return {
                "lines": lines,
                "failure": story.reason_in_words(row.failure_reason, names),
                "messages": story.messages_about(session, row.id),
                "steps": story.story_of(session, row.id, names, by_hand=rights.may("admin_audit.index_view")),
                "deliveries": webhook_queries.deliveries(session, Wanted(order_id=row.id), MOST_DELIVERIES),
                "flower": current_app.extensions["settings"].flower_port,
            }

    @action("cancel", "Cancel", "Cancel the chosen orders? What they bought goes back to stock, and their receivers are told.")
    def cancel(self, ids: list[str]) -> None:
        """Cancel orders."""
        self.act_on(ids, "Cancelled", lambda order_id, reason: cancelling.cancel_order(order_id, self.actor(), reason))

    @action("retry", "Retry", "Send the chosen failed orders through the pipeline again?")
    def retry(self, ids: list[str]) -> None:
        """Send failed orders through the pipeline again."""
        self.act_on(ids, "Pending again", lambda order_id, reason: retrying.retry_order(order_id, self.actor(), reason))

    @action("resend", "Resend webhook", "Send the given-up webhooks of the chosen orders again?")
    def resend(self, ids: list[str]) -> None:
        """Send the given-up webhooks of orders again."""
        self.act_on(ids, "Webhooks due again for orders", self._resend)

    def _resend(self, order_id: int, reason: str | None) -> None:
        with reading() as session:
            deliveries = webhook_queries.deliveries(session, Wanted(order_id=order_id), MOST_DELIVERIES)
        given_up = [delivery.id for delivery in deliveries if delivery.state in {"exhausted", "disabled"}]
        if not given_up:
            raise ConflictError(f"Order {order_id} has no webhook that was given up.")
        for delivery_id in given_up:
            resend_delivery(delivery_id, self.actor(), reason)
