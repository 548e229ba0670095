"""Page: webhook deliveries, and sending one again that was given up."""

from typing import Any

from flask import current_app
from flask_admin.actions import action
from flask_admin.model import BaseModelView
from sqlalchemy import Row

from orderapp.admin import formats
from orderapp.admin.filters import Filter
from orderapp.admin.queries import Listing
from orderapp.admin.view import PanelView
from orderapp.webhooks import replaying
from orderapp.webhooks.queries import STATES

# The last part is always true: it names the two indexes that hold what is pending, each a part of it.
_OF_STATE = "d.state = :state AND (:state <> 'pending' OR d.waiting OR NOT d.waiting)"


class DeliveriesView(PanelView):
    """One row per outcome of an order and receiver."""

    action_view = BaseModelView.action_view
    column_list = ("id", "endpoint_id", "order_id", "type", "state", "attempt", "due_at", "finished_at", "answer")
    column_labels = {  # noqa: RUF012 - Flask-Admin's own declaration
        "id": "Delivery",
        "endpoint_id": "Endpoint",
        "order_id": "Order",
        "type": "Event",
        "attempt": "Attempts",
        "due_at": "Due",
        "finished_at": "Finished",
        "answer": "Last answer",
    }
    empty = "No delivery fits. With WEBHOOK_URL set, each outcome of an order makes one."
    panel_filters = (
        Filter("receiver", "Endpoint", "number"),
        Filter("order", "Order", "number"),
        Filter("state", "State", "choice", STATES),
    )
    listing = Listing(
        "d.id, d.endpoint_id, d.order_id, coalesce(e.type, 'endpoint.ping') AS type, d.state, d.attempt, d.due_at,"
        " d.finished_at,"
        " coalesce(a.error, CAST(a.status_code AS text)) AS answer",
        "webhook_deliveries d LEFT JOIN order_events e ON e.id = d.event_id LEFT JOIN LATERAL (SELECT status_code, error"
        " FROM webhook_attempts WHERE delivery_id = d.id ORDER BY attempt DESC LIMIT 1) a ON true",
        "d.id",
        {"order": "d.order_id = :order", "receiver": "d.endpoint_id = :receiver", "state": _OF_STATE},
    )

    def cell(self, row: Row[Any], column: str) -> Any:
        """Link the order's page."""
        if column == "order_id":
            return formats.link("admin_orders.details_view", row.order_id)
        return formats.badge(row.state) if column == "state" else super().cell(row, column)

    @action("resend", "Resend", "Send the chosen deliveries again?")
    def resend(self, ids: list[str]) -> None:
        """Send given-up deliveries again."""
        self.act_on(ids, "Due again", lambda delivery_id, reason: resend_delivery(delivery_id, self.actor(), reason))


def resend_delivery(delivery_id: int, actor: str, reason: str | None) -> None:
    """Send a delivery again that was given up. Raises ConflictError, also when there is nowhere to send it."""
    replaying.resend(delivery_id, actor, reason, enabled=current_app.extensions["settings"].webhook_url is not None)
