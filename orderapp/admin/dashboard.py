"""Page: how the service does, at a glance. Its figures are a fragment of their own, which the page asks for again and again."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import current_app
from flask_admin import AdminIndexView, expose
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from orderapp.accounts import guard
from orderapp.admin import figures, formats, plots, rights, tiles, yesterday
from orderapp.admin.tiles import Part
from orderapp.database import reading
from orderapp.reports.days import zone_named

# Seconds from one look to the next: an outage shows before the first customer writes.
EVERY = 10

# Seconds for all questions together: a slow database answers what it can by then, and the rest says that it is slow.
PATIENCE = 3

# What PostgreSQL says of a statement that it has stopped for taking too long.
_STOPPED = "57014"

_LIMIT = "SELECT set_config('statement_timeout', %(milliseconds)s, true)"

Question = Callable[[Connection], Any]


class DashboardView(AdminIndexView):
    """The first page: a frame that is there at once, and the figures inside it."""

    @expose("/")
    def index(self) -> str:
        """Show the frame; it asks the database for nothing but the visitor."""
        return str(self.render("panel/dashboard.html", every=EVERY))

    @expose("/live/")
    def live_view(self) -> str:
        """Show the figures as they are now, those that cannot be had with the reason why."""
        guard.nobody_clicked()
        zone = zone_named(current_app.extensions["settings"].report_timezone)
        found = look(
            {
                "open": figures.open_orders,
                "outbox": figures.outbox,
                "webhooks": figures.webhooks,
                "flow": figures.flow,
                "failures": figures.failures,
                "low_stock": figures.low_stock,
                "days": partial(yesterday.compared, zone=zone),
            }
        )
        shown = {"tiles": tiles.from_parts(found), "drawn": _drawn(found["flow"]), "low": figures.LOW, "causes": formats.CAUSES}
        return str(self.render("panel/live.html", now=guard.now(), **shown, **found))

    def is_accessible(self) -> bool:
        """Tell whether the menu offers this page."""
        return rights.may("admin.index")


def look(questions: dict[str, Question]) -> dict[str, Part]:
    """Return the answer to each question. Raises what the database says, unless it only takes too long."""
    deadline = time.monotonic() + PATIENCE
    return {name: _answer(question, deadline) for name, question in questions.items()}


def _answer(question: Question, deadline: float) -> Part:
    if time.monotonic() < deadline:
        try:
            with reading() as session:
                event.listen(session, "before_execute", partial(_limit, deadline))
                return Part(question(session))
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) != _STOPPED:
                raise
    return Part(fault="The database is slow: no answer in time.")


def _limit(deadline: float, session: Connection, *_statement: Any) -> None:
    """Give the statement that comes now the time that is left: a question may have several, and each has a limit of its own."""
    left = max(1, int((deadline - time.monotonic()) * 1000))  # 0 would be no limit
    session.exec_driver_sql(_LIMIT, {"milliseconds": str(left)})  # which is no event, as execute() would be


def _drawn(flow: Part) -> list[plots.Plot]:
    return [plots.orders_per_minute(flow.value), plots.time_to_settled(flow.value)] if flow.value else []
