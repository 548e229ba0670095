"""What the API takes and shows."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from orderapp.database import LAST_ID
from orderapp.fields import Instant, QueryInteger, StrictInteger, plain_text
from orderapp.orders.events import CANCELLED, CONFIRMED, FAILED, PLACED, REOPENED
from orderapp.orders.lines import MOST_UNITS, Line
from orderapp.pagination import HIGHEST_LIMIT, PageSchema

# Lines per order: with one product each, the settle transaction locks as many rows.
MOST_ITEMS = 100

# Characters of the client's own reference, as the column has it.
LONGEST_REFERENCE = 64

# Characters of an idempotency key, as the column has it; a UUID takes 36.
LONGEST_KEY = 255

EVENT_TYPES = (PLACED, CONFIRMED, FAILED, CANCELLED, REOPENED)

STATUSES = ("pending", "processing", "confirmed", "failed", "cancelled")


class LineSchema(Schema):
    """One line of a new order."""

    product_id = StrictInteger(required=True, validate=validate.Range(1, LAST_ID))
    quantity = StrictInteger(required=True, validate=validate.Range(1, MOST_UNITS))

    @post_load
    def make_line(self, data: dict[str, int], **_kwargs: Any) -> Line:
        """Return the act's own type."""
        return Line(**data)


class PlaceOrderSchema(Schema):
    """A new order."""

    items = fields.List(fields.Nested(LineSchema), required=True, validate=validate.Length(1, MOST_ITEMS))
    reference = fields.String(allow_none=True, load_default=None, validate=plain_text(LONGEST_REFERENCE))


class IdempotencySchema(Schema):
    """How a POST can be repeated safely."""

    key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        validate=[
            validate.Length(1, LONGEST_KEY),
            validate.Regexp(r"[\x20-\x7e]*\Z", error="Only printable ASCII characters are allowed."),
        ],
        metadata={"description": "Any text of your own, a UUID at best; the same with every repetition of one order."},
    )


class ItemSchema(Schema):
    """One line of an order."""

    id = fields.Integer()
    product = fields.String()
    product_id = fields.Integer()
    quantity = fields.Integer()
    unit_price = fields.Decimal(places=2, as_string=True)


class OrderSchema(Schema):
    """An order."""

    id = fields.Integer()
    status = fields.String(validate=validate.OneOf(STATUSES))
    total_amount = fields.Decimal(places=2, as_string=True, allow_none=True)
    currency = fields.String()
    reference = fields.String(allow_none=True)
    webhook_sent = fields.Boolean()
    items = fields.List(fields.Nested(ItemSchema))
    failure_reason = fields.Dict(allow_none=True)
    created_at = fields.AwareDateTime(format="iso")


class WantedOrdersSchema(PageSchema):
    """Which orders; what is left out does not matter."""

    status = fields.String(validate=validate.OneOf(STATUSES))
    product = QueryInteger(
        validate=validate.Range(1, LAST_ID), metadata={"description": "Id of a product that is in the order."}
    )
    reference = fields.String(validate=plain_text(LONGEST_REFERENCE), metadata={"description": "Exactly this reference."})
    start = Instant(data_key="from", metadata={"description": "Created then or later; with its time zone, such as Z."})
    stop = Instant(data_key="to", metadata={"description": "Created before then."})


class OrdersSchema(Schema):
    """One page of orders."""

    data = fields.List(fields.Nested(OrderSchema))
    next = fields.String(
        allow_none=True,
        metadata={
            "description": "Cursor of the next page; null on the last. A page may be short, even empty, and not be the last."
        },
    )


class EntrySchema(Schema):
    """One step of an order."""

    at = fields.AwareDateTime(format="iso")
    kind = fields.String(
        metadata={"description": "An event's type, order.claimed, stock.sale, stock.return or webhook.attempt."}
    )
    details = fields.Dict()


class TimelineSchema(Schema):
    """What happened to an order, oldest first."""

    data = fields.List(fields.Nested(EntrySchema))


class WantedEventsSchema(Schema):
    """Which events."""

    after = QueryInteger(
        load_default=0,
        validate=validate.Range(0, LAST_ID),
        metadata={"description": "`next` of the page before; 0 begins with the first event there is."},
    )
    limit = QueryInteger(load_default=HIGHEST_LIMIT, validate=validate.Range(1, HIGHEST_LIMIT))


class EventSchema(Schema):
    """An event in the feed."""

    position = fields.Integer(metadata={"description": "Its place in the feed; grows, with gaps."})
    id = fields.UUID(metadata={"description": "The webhook-id, for events that are sent as webhooks."})
    type = fields.String(validate=validate.OneOf(EVENT_TYPES))
    order_id = fields.Integer()
    sequence = fields.Integer(metadata={"description": "1, 2, 3 ... within the order."})
    occurred_at = fields.AwareDateTime(format="iso")
    data = fields.Dict(metadata={"description": "total_amount of a confirmed order, failure_reason of a failed one."})


class EventsSchema(Schema):
    """One page of the feed."""

    data = fields.List(fields.Nested(EventSchema))
    next = fields.Integer(metadata={"description": "What to ask for `after` next; never null, for the feed never ends."})
    more = fields.Boolean(metadata={"description": "The next page has something to look at now; false: ask again later."})
