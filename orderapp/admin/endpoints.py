"""Page: webhook endpoints, how they do; making, changing and trying one out, switching it off or on."""

from typing import Any

from flask import current_app, redirect
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_admin.actions import action
from flask_admin.helpers import get_form_data, validate_form_on_submit
from flask_admin.model import BaseModelView
from sqlalchemy import Row

from orderapp.admin import formats, rights
from orderapp.admin.filters import Filter
from orderapp.admin.forms import EndpointForm, NewEndpointForm, RotateForm
from orderapp.admin.page import PageView
from orderapp.admin.queries import Listing
from orderapp.database import reading
from orderapp.errors import InvalidInputError
from orderapp.webhooks import queries, registering
from orderapp.webhooks.drafts import Draft
from orderapp.webhooks.endpoint import BUILT_IN
from orderapp.webhooks.registering import NewEndpoint


class EndpointsView(PageView):
    """One row per receiver. A secret is shown once, when it is made, in the answer itself: no cookie carries it."""

    can_view_details = False
    details_view = None
    fields_of = {"/url": "address"}  # noqa: RUF012 - as PanelView declares it
    action_view, edit_view = BaseModelView.action_view, BaseModelView.edit_view
    column_list = (
        "id",
        "url",
        "client",
        "events",
        "description",
        "state",
        "reason",
        "failures",
        "failing_since",
        "secret",
    )
    column_labels = {  # noqa: RUF012 - Flask-Admin's own declaration
        "id": "Endpoint",
        "url": "URL",
        "client": "Hears of",
        "failures": "Failures in a row",
        "failing_since": "Failing since",
    }
    empty = "No endpoint fits. A new one: Create, flask webhooks create URL, or POST /api/webhook-endpoints/"
    panel_filters = (Filter("q", "URL or description"), Filter("state", "State", "choice", ("active", "disabled")))
    listing = Listing(
        "w.id, coalesce(w.url, 'WEBHOOK_URL') AS url, coalesce(c.name, 'all orders') AS client,"
        " 'endpoint ' || w.id AS name, w.url AS address, w.event_types,"
        " array_to_string(w.event_types, ', ') AS events, w.description,"
        " CASE WHEN w.active THEN 'active' ELSE 'disabled' END AS state, w.disabled_reason AS reason,"
        " w.failures, w.failing_since",
        "webhook_endpoints w LEFT JOIN api_clients c ON c.id = w.client_id",
        "w.id",
        {"q": "(w.url ILIKE :q OR w.description ILIKE :q OR w.id = :q_number)", "state": "w.active = (:state = 'active')"},
        "w.disabled_reason IS DISTINCT FROM 'deleted'",
    )

    def cell(self, row: Row[Any], column: str) -> Any:
        """Show the state as a coloured word, and the ways to change what WEBHOOK_URL does not decide."""
        if column == "state":
            return formats.badge(row.state)
        may_change = row.id != BUILT_IN and rights.may(f"{self.endpoint}.edit_view")
        if column == "secret":
            return formats.link(f"{self.endpoint}.rotate_view", row.id if may_change else None, "new secret")
        if column == "id" and may_change:
            return formats.link(f"{self.endpoint}.edit_view", row.id)
        return super().cell(row, column)

    def get_edit_form(self) -> type[EndpointForm]:
        """Return the form of what can be changed."""
        return EndpointForm

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> ResponseReturnValue:
        """Make an endpoint, of all orders or of one client's, and show its secret."""
        form = NewEndpointForm(get_form_data())
        if validate_form_on_submit(form):
            made = self.attempt(form, lambda: self._create(form))
            if made is not None:
                return self._show_secret(made)
        return self.render("panel/form.html", form=form, return_url=self.get_url(".index_view"), heading="New endpoint")

    def update_model(self, form: Any, model: Row[Any]) -> bool:
        """Change an endpoint by its act."""

        def act() -> bool:
            registering.edit_endpoint(model.id, self._draft(form), None, self._allowed_hosts(), self.actor())
            return True

        return self.attempt(form, act) is not None

    @expose("/rotate/", methods=("GET", "POST"))
    def rotate_view(self) -> ResponseReturnValue:
        """Give an endpoint a new secret, and show it."""
        endpoint, back = self.asked_row(), self.get_url(".index_view")
        if endpoint is None:
            return redirect(back)
        form = RotateForm(get_form_data())
        if validate_form_on_submit(form):
            made = self.attempt(form, lambda: registering.rotate_secret(endpoint.id, None, self.actor()))
            if made is not None:
                return self._show_secret(made)
        heading = f"New secret for {endpoint.name}: the old one signs beside it for 24 hours"
        return self.render("panel/form.html", form=form, return_url=back, heading=heading)

    def _create(self, form: Any) -> NewEndpoint:
        owner, name = None, (form.client.data or "").strip()
        if name:
            with reading() as session:
                owner = queries.client_id(session, name)
            if owner is None:
                raise InvalidInputError([("/client", f"There is no client {name}.")])
        return registering.create_endpoint(self._draft(form), owner, self._allowed_hosts(), self.actor())

    def _draft(self, form: Any) -> Draft:
        return Draft(form.address.data.strip(), form.event_types.data, (form.description.data or "").strip())

    def _allowed_hosts(self) -> frozenset[str]:
        hosts: frozenset[str] = current_app.extensions["settings"].webhook_allowed_hosts
        return hosts

    def _show_secret(self, made: NewEndpoint) -> ResponseReturnValue:
        return str(self.render("panel/secret.html", made=made, return_url=self.get_url(".index_view")))

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

    @action("delete", "Delete", "Delete the chosen endpoints? They hear of nothing more; their deliveries stay.")
    def delete(self, ids: list[str]) -> None:
        """Take endpoints off the list."""
        self.act_on(ids, "Deleted", lambda row_id, _reason: registering.delete_endpoint(row_id, None, self.actor()))
