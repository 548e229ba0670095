"""Door: health and metrics over HTTP."""

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from heartbeat import is_draining
from orderapp import exposition
from orderapp.database import reading
from orderapp.errors import ForbiddenError, problem
from orderapp.monitoring import metrics, queries

blueprint = Blueprint("monitoring", __name__)


@blueprint.get("/health/live/")
def live() -> ResponseReturnValue:
    """Answer as long as the process can."""
    return jsonify(status="alive")


@blueprint.get("/health/ready/")
def ready() -> ResponseReturnValue:
    """Answer 200 when orders can be taken, and how fast the database answers; else 503 with what is missing."""
    if is_draining(current_app.extensions["settings"].port):
        return problem(503, "Service Unavailable", "draining: `flask health drain` was called here")
    try:
        with reading() as session:
            state = queries.database_state(session)
    except SQLAlchemyError:  # the answer's reader sees it: no connection is to be had
        return problem(503, "Service Unavailable", "database: unreachable")
    if state.fault:
        return problem(503, "Service Unavailable", state.fault)
    return jsonify(status="ready", database_ms=state.milliseconds, migration=state.migration)


@blueprint.get("/metrics")
def show_metrics() -> ResponseReturnValue:
    """Answer this machine itself, or who has the token."""
    environ = request.environ
    # What a proxy says of its caller is not asked for here: the other end of the connection counts.
    peer = environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR", "")
    if not exposition.may_read(peer, request.headers.get, current_app.extensions["settings"].metrics_token):
        raise ForbiddenError("Metrics are for this machine itself, or for who sends METRICS_TOKEN as a bearer token.")
    body, content_type = metrics.whole_page()
    return Response(body, content_type=content_type)
