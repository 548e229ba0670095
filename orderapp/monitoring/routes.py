"""Door: health over HTTP."""

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from heartbeat import is_draining
from orderapp.database import reading
from orderapp.errors import problem
from orderapp.monitoring import queries

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
    with reading() as session:
        state = queries.database_state(session)
    if state.fault:
        return problem(503, "Service Unavailable", state.fault)
    return jsonify(status="ready", database_ms=state.milliseconds, migration=state.migration)
