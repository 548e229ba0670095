"""Door: reports over HTTP. They are about all orders, whoever placed them."""

from datetime import date
from typing import Any

from flask import current_app, jsonify
from flask.typing import ResponseReturnValue
from flask_smorest import Blueprint
from marshmallow import RAISE

from orderapp import access
from orderapp.database import reading
from orderapp.errors import BodyParser, InvalidInputError
from orderapp.reports import queries
from orderapp.reports.days import DayError, period, zone_named
from orderapp.reports.schemas import DaysSchema, ReportSchema

blueprint = Blueprint("reports", __name__, url_prefix="/api/reports", description="Reports.")
blueprint.ARGUMENTS_PARSER = BodyParser()


@blueprint.get("/daily-sales/")
@access.requires(access.REPORTS_READ)
@blueprint.arguments(DaysSchema, location="query", unknown=RAISE)
@blueprint.response(200, ReportSchema)
def daily_sales(asked: dict[str, date]) -> ResponseReturnValue:
    """Show what days of sales came to, by day and currency.

    Days are cut in REPORT_TIMEZONE; one that is not summarised yet is left out. At most 366 days.
    """
    timezone = current_app.extensions["settings"].report_timezone
    try:
        first, last = period(asked.get("first"), asked.get("last"), zone_named(timezone))
    except DayError as error:
        raise InvalidInputError([("/query/from", str(error))]) from error
    with reading() as session:
        days: list[dict[str, Any]] = queries.daily_sales(session, first, last)
    return jsonify({"timezone": timezone, "from": first.isoformat(), "to": last.isoformat(), "days": days})
