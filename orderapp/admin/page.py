"""Views whose rows have a page of their own."""

from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from sqlalchemy import Row

from orderapp.admin import formats
from orderapp.admin.view import PanelView


class PageView(PanelView):
    """Rows with a page each: the row, and more that belongs to it."""

    can_view_details = True
    shown = staticmethod(formats.shown)

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Show one row."""
        row = self.asked_row()
        if row is None:
            return redirect(self.get_url(".index_view"))
        actions, confirmations = self.get_actions_list()
        actions = [(name, label) for name, label in actions if self.fits(row, name)]
        here = self.get_url(".details_view", id=row.id)
        extra = {"actions": actions, "confirmations": confirmations, "here": here, "cell": self.cell}
        return self.render(self.details_template, row=row, **extra, **self.more(row))

    def more(self, _row: Row[Any]) -> dict[str, Any]:
        """Return what else the page shows."""
        return {}

    def fits(self, _row: Row[Any], _name: str) -> bool:
        """Tell whether to offer an action on this row's page; the act decides anyway."""
        return True

    def asked_row(self) -> Row[Any] | None:
        """Return the row that the address names; without one, say so."""
        row: Row[Any] | None = self.get_one(request.args.get("id", ""))
        if row is None:
            flash("There is no such row.", "error")
        return row
