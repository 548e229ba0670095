"""Door: health over HTTP."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

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
    """Answer 200 when orders can be taken, else 503 with what is missing."""
    with reading() as session:
        fault = queries.database_fault(session)
    return problem(503, "Service Unavailable", fault) if fault else jsonify(status="ready")
