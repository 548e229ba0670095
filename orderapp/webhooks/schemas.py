"""What the API of webhook endpoints takes and shows."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from orderapp import pagination
from orderapp.database import LAST_ID
from orderapp.fields import Instant

from .drafts import EVENT_TYPES, LONGEST_DESCRIPTION, LONGEST_URL, Draft
from .queries import STATES, USUAL_RATE, Wanted

# Deliveries a second that a client may ask for: its receiver may be built for it, and new webhooks still find room.
HIGHEST_RATE = 500

# Deliveries that one request may send again: it holds a thread of the web server, 1.4 s when measured, 6.5 s at rate 1.
MOST_AT_ONCE = 10_000


class _DraftSchema(Schema):
    event_types = fields.List(
        fields.String(validate=validate.OneOf(EVENT_TYPES)), validate=validate.Length(1, len(EVENT_TYPES))
    )
    description = fields.String(validate=validate.Length(0, LONGEST_DESCRIPTION))
    active = fields.Boolean(truthy={True}, falsy={False})

    @post_load
    def make_draft(self, data: dict[str, Any], **_kwargs: Any) -> Draft:
        """Return the act's own type."""
        return Draft(**data)


class NewEndpointSchema(_DraftSchema):
    """A new endpoint; without event types it hears of all."""

    url = fields.String(required=True, validate=validate.Length(1, LONGEST_URL))


class EndpointChangeSchema(_DraftSchema):
    """What to change; what is left out stays."""

    url = fields.String(validate=validate.Length(1, LONGEST_URL))

    @validates_schema
    def refuse_nothing(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse a change that changes nothing: most likely a mistake."""
        if not data:
            raise ValidationError("Name what to change: url, event_types, description or active.")


class EndpointSchema(Schema):
    """An endpoint; ``failing_since`` and ``open_until`` tell whether its receiver is in trouble."""

    id = fields.Integer()
    url = fields.String()
    event_types = fields.List(fields.String(validate=validate.OneOf(EVENT_TYPES)))
    description = fields.String()
    active = fields.Boolean()
    disabled_reason = fields.String(allow_none=True, metadata={"description": "operator, gone (410) or failing (5 days)."})
    failures = fields.Integer(metadata={"description": "Attempts in a row that failed."})
    failing_since = fields.AwareDateTime(format="iso", allow_none=True)
    open_until = fields.AwareDateTime(
        format="iso",
        allow_none=True,
        metadata={"description": "Until then deliveries wait; then one tries."},
    )
    created_at = fields.AwareDateTime(format="iso")


class EndpointsSchema(Schema):
    """All endpoints of the client."""

    data = fields.List(fields.Nested(EndpointSchema))


class EndpointWithSecretSchema(EndpointSchema):
    """An endpoint that was just created."""

    secret = fields.String(metadata={"description": "whsec_...; shown this once."})


class SecretSchema(Schema):
    """A new secret; the old one signs beside it for 24 hours."""

    id = fields.Integer()
    secret = fields.String(metadata={"description": "whsec_...; shown this once."})


class SentSchema(Schema):
    """A delivery that is on its way."""

    delivery_id = fields.Integer()


class ResendSchema(Schema):
    """Which finished deliveries; what is left out does not matter. Nothing is sent without ``send``, nor without a filter."""

    state = fields.String(validate=validate.OneOf([state for state in STATES if state != "pending"]))
    type = fields.String(validate=validate.OneOf(EVENT_TYPES))
    order_id = fields.Integer(strict=True, validate=validate.Range(1, LAST_ID))
    since = Instant(metadata={"description": "Created at this moment or later."})
    until = Instant(metadata={"description": "Created before this moment."})
    rate = fields.Integer(
        strict=True,
        load_default=USUAL_RATE,
        validate=validate.Range(1, HIGHEST_RATE),
        metadata={"description": "So many a second."},
    )
    send = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata={
            "description": "Send them; without it they are only counted. "
            f"Needs a filter (422 without one); 409 when more than {MOST_AT_ONCE:,} fit: narrow since and until."
        },
    )

    @validates_schema
    def refuse_all(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse to send whatever there ever was: most likely a filter that was forgotten."""
        if data["send"] and not data.keys() - {"rate", "send"}:
            raise ValidationError("Name what to send: state, type, order_id, since or until.", "send")

    @post_load
    def make_wanted(self, data: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
        """Put the filter into the act's own type."""
        return {"rate": data.pop("rate"), "send": data.pop("send"), "wanted": Wanted(**data)}


class ResentSchema(Schema):
    """How many deliveries fit, and whether they are sent again."""

    count = fields.Integer(metadata={"description": f"{MOST_AT_ONCE + 1:,}: so many or more, too many to send at once."})
    sent = fields.Boolean()


class DeliveriesQuerySchema(pagination.PageSchema):
    """Which deliveries."""

    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    type = fields.String(load_default=None, validate=validate.OneOf(EVENT_TYPES))
    order_id = fields.Integer(load_default=None, validate=validate.Range(1, 2**63 - 1))


class DeliverySchema(Schema):
    """One delivery, with what came of its last attempt."""

    id = fields.Integer()
    order_id = fields.Integer(allow_none=True)
    type = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    attempt = fields.Integer()
    due_at = fields.AwareDateTime(format="iso")
    finished_at = fields.AwareDateTime(format="iso", allow_none=True)
    status_code = fields.Integer(allow_none=True)
    error = fields.String(allow_none=True)
    endpoint_id = fields.Integer()


class DeliveriesSchema(Schema):
    """One page of deliveries, newest first."""

    data = fields.List(fields.Nested(DeliverySchema))
    next = fields.String(allow_none=True, metadata={"description": "Cursor of the next page; null on the last."})


class AttemptSchema(Schema):
    """One POST and the beginning of its answer."""

    attempt = fields.Integer()
    started_at = fields.AwareDateTime(format="iso")
    duration_ms = fields.Integer()
    status_code = fields.Integer(allow_none=True)
    error = fields.String(allow_none=True)
    answer = fields.String(allow_none=True, metadata={"description": "Its first KiB."})


class AttemptsSchema(Schema):
    """What is kept of a delivery's attempts, oldest first; WEBHOOK_LOG_DAYS long."""

    data = fields.List(fields.Nested(AttemptSchema))
