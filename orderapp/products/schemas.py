"""What the API of products takes and shows."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from orderapp.fields import Money, StrictInteger, plain_text
from orderapp.products.changes import LONGEST_NAME, MOST_STOCK, ProductChange

# Characters of a reason: a sentence or two for whoever reads the audit log.
LONGEST_REASON = 500


class NewProductSchema(Schema):
    """A new product."""

    name = fields.String(required=True, validate=plain_text(LONGEST_NAME))
    price = Money(required=True)
    stock = StrictInteger(
        load_default=0, validate=validate.Range(0, MOST_STOCK), metadata={"description": "Units there are now."}
    )


class ProductChangeSchema(Schema):
    """What to change; what is left out stays."""

    name = fields.String(validate=plain_text(LONGEST_NAME))
    price = Money()

    @validates_schema
    def refuse_nothing(self, data: dict[str, Any], **_kwargs: Any) -> None:
        """Refuse a change that changes nothing: most likely a mistake."""
        if not data:
            raise ValidationError("Name what to change: name, price or both.")

    @post_load
    def make_change(self, data: dict[str, Any], **_kwargs: Any) -> ProductChange:
        """Return the act's own type."""
        return ProductChange(**data)


class RestockSchema(Schema):
    """Units that arrived, or (negative) units found missing."""

    quantity = StrictInteger(required=True, validate=validate.Range(-MOST_STOCK, MOST_STOCK))
    reason = fields.String(required=True, validate=plain_text(LONGEST_REASON))


class ProductSchema(Schema):
    """A product."""

    id = fields.Integer()
    name = fields.String()
    price = Money()
    stock = fields.Integer(metadata={"description": "Units that are there and not sold."})
    archived = fields.Boolean(metadata={"description": "Off sale: it cannot be ordered."})
    created_at = fields.AwareDateTime(format="iso")


class ProductsSchema(Schema):
    """One page of products."""

    data = fields.List(fields.Nested(ProductSchema))
    next = fields.String(allow_none=True, metadata={"description": "Cursor of the next page; null on the last."})
