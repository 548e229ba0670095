"""Page: the audit log, who changed what and why."""

from typing import Any

from sqlalchemy import Row

from orderapp.admin import formats
from orderapp.admin.filters import Filter
from orderapp.admin.queries import Listing
from orderapp.admin.view import PanelView

# Where the page of a subject is; the others have none.
_PAGES = {"order": "admin_orders.details_view", "product": "admin_products.details_view"}


class AuditView(PanelView):
    """One row per change by hand."""

    column_list = ("at", "actor", "action", "subject", "before", "after", "reason")
    column_labels = {"at": "When", "actor": "Who"}  # noqa: RUF012 - Flask-Admin's own declaration
    empty = "Nobody has changed anything by hand."
    panel_filters = (
        Filter("actor", "Who"),
        Filter("subject", "What", "choice", ("order", "product", "user", "message", "delivery")),
        Filter("subject_id", "Number", "number"),
    )
    listing = Listing(
        "*",
        "audit_log",
        "id",
        {"actor": "actor = :actor", "subject": "subject = :subject", "subject_id": "subject_id = :subject_id"},
        table="audit_log",
        sought=frozenset({"actor"}),
    )

    def cell(self, row: Row[Any], column: str) -> Any:
        """Link the subject's page."""
        if column != "subject":
            return super().cell(row, column)
        words = f"{row.subject} {row.subject_id}"
        return formats.link(_PAGES[row.subject], row.subject_id, words) if row.subject in _PAGES else words
