"""What the reports' API takes and shows."""

from datetime import date
from typing import Any

from marshmallow import Schema, ValidationError, fields

from orderapp.reports.days import DayError, parse_day


class Day(fields.Date):
    """A day as 2026-01-31, and in no other of ISO's spellings."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:  # noqa: ARG002 - as marshmallow calls it
        try:
            return parse_day(value, date.max)
        except DayError as error:
            raise ValidationError(str(error)) from error


class DaysSchema(Schema):
    """Which days: ``from`` and ``to`` are both included."""

    first = Day(data_key="from", metadata={"description": "First day; by default 29 days before the last."})
    last = Day(data_key="to", metadata={"description": "Last day; by default today in REPORT_TIMEZONE."})


class TopProductSchema(Schema):
    """One of the products with the highest revenue of the day."""

    product_id = fields.Integer()
    name = fields.String(metadata={"description": "As it was called when the day was summarised."})
    units = fields.Integer()
    revenue = fields.Decimal(places=2, as_string=True)


class DailySalesSchema(Schema):
    """One day in one currency."""

    day = fields.Date()
    currency = fields.String()
    orders = fields.Integer(metadata={"description": "Orders confirmed that day, cancelled later or not."})
    items = fields.Integer(metadata={"description": "Units in the orders that were not cancelled."})
    revenue = fields.Decimal(places=2, as_string=True, metadata={"description": "Of the orders that were not cancelled."})
    failed = fields.Integer(metadata={"description": "Orders that failed that day and stayed so."})
    cancelled = fields.Integer(metadata={"description": "How many of the orders were cancelled since."})
    average = fields.Decimal(places=2, as_string=True, metadata={"description": "Revenue per order that was not cancelled."})
    top_products = fields.List(fields.Nested(TopProductSchema))
    summarised_at = fields.AwareDateTime(format="iso")


class ReportSchema(Schema):
    """The summaries of the days asked for."""

    timezone = fields.String()
    first = fields.Date(data_key="from")
    last = fields.Date(data_key="to")
    days = fields.List(fields.Nested(DailySalesSchema))
