"""Page: messages that could not be published. An operator decides what becomes of them."""

from flask import flash, request
from flask_admin.actions import action
from flask_admin.model import BaseModelView

from orderapp.admin.filters import Filter
from orderapp.admin.queries import Listing
from orderapp.admin.view import PanelView
from orderapp.outbox import parking
from orderapp.queues import EVENTS, QUEUE_NAMES


class ParkedView(PanelView):
    """Parked rows of the outbox."""

    action_view = BaseModelView.action_view
    column_list = ("id", "queue", "task", "subject_id", "args", "parked_at", "error")
    column_labels = {"id": "Message", "subject_id": "About", "parked_at": "Parked", "error": "Reason"}  # noqa: RUF012
    empty = "Nothing is parked."
    panel_filters = (Filter("queue", "Queue", "choice", (*QUEUE_NAMES, EVENTS.queue)),)
    listing = Listing(
        "id, queue, task, subject_id, args, parked_at, error",
        "outbox",
        "id",
        {"queue": "queue = :queue"},
        "parked_at IS NOT NULL",
    )

    @action("retry", "Retry", "Let the relay try the chosen messages again?")
    def retry(self, ids: list[str]) -> None:
        """Let the relay try messages again."""
        self.act_on(ids, "Due again", lambda row_id, reason: parking.retry_parked([row_id], self.actor(), reason))

    @action(
        "discard",
        "Discard",
        "Delete the chosen messages for good? An order or delivery that is still open gets a new one from the rescuers; "
        "an event gets none.",
    )
    def discard(self, ids: list[str]) -> None:
        """Delete messages for good."""
        if not request.form.get("reason", "").strip():
            flash("Say why the messages are discarded: the reason is all that stays of them.", "error")
            return
        self.act_on(ids, "Discarded", lambda row_id, reason: parking.discard_parked([row_id], self.actor(), reason))
