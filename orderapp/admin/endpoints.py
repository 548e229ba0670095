"""Page: webhook endpoints, how they do, switching one off or on and trying it out."""

from typing import Any

from flask_admin.actions import action
from flask_admin.model import BaseModelView
from sqlalchemy import Row

from orderapp.admin import formats
from orderapp.admin.filters import Filter
from orderapp.admin.queries import Listing
from orderapp.admin.view import PanelView
from orderapp.webhooks import registering


class EndpointsView(PanelView):
    """One row per receiver; secrets are never shown here."""

    action_view = BaseModelView.action_view
    column_list = (
        "id",
        "url",
        "client",
        "event_types",
        "description",
        "state",
        "reason",
        "failures",
        "failing_since",
    )
    column_labels = {  # noqa: RUF012 - Flask-Admin's own declaration
        "id": "Endpoint",
        "url": "URL",
        "client": "Hears of",
        "event_types": "Events",
        "failures": "Failures in a row",
        "failing_since": "Failing since",
    }
    empty = "No endpoint fits. A new one: flask webhooks create URL, or POST /api/webhook-endpoints/"
    panel_filters = (Filter("q", "URL or description"), Filter("state", "State", "choice", ("active", "disabled")))
    listing = Listing(
        "w.id, coalesce(w.url, 'WEBHOOK_URL') AS url, coalesce(c.name, 'all orders') AS client,"
        " array_to_string(w.event_types, ', ') AS event_types, w.description,"
        " CASE WHEN w.active THEN 'active' ELSE 'disabled' END AS state, w.disabled_reason AS reason,"
        " w.failures, w.failing_since",
        "webhook_endpoints w LEFT JOIN api_clients c ON c.id = w.client_id",
        "w.id",
        {"q": "(w.url ILIKE :q OR w.description ILIKE :q OR w.id = :q_number)", "state": "w.active = (:state = 'active')"},
        "w.disabled_reason IS DISTINCT FROM 'deleted'",
    )

    def cell(self, row: Row[Any], column: str) -> Any:
        """Show the state as a coloured word."""
        return formats.badge(row.state) if column == "state" else super().cell(row, column)

    @action("disable", "Disable", "Send nothing more to the chosen endpoints?")
    def disable(self, ids: list[str]) -> None:
        """Switch endpoints off."""
        self.act_on(ids, "Disabled", lambda row_id, reason: registering.disable_endpoint(row_id, None, self.actor(), reason))

    @action("enable", "Enable", "Send to the chosen endpoints again, of what happens from now on?")
    def enable(self, ids: list[str]) -> None:
        """Switch endpoints on."""
        self.act_on(ids, "Enabled", lambda row_id, reason: registering.enable_endpoint(row_id, None, self.actor(), reason))

    @action("ping", "Ping", "Send a ping to the chosen endpoints? Their deliveries show what came of it.")
    def ping(self, ids: list[str]) -> None:
        """Try endpoints out."""
        self.act_on(ids, "Pinged", lambda row_id, _reason: registering.send_test(row_id, None, self.actor()))
