"""The forms of the panel. They say what is missing; what is allowed, the acts decide.

The CSRF token is in every template and checked by the gate before any form is read.
"""

from typing import Any

from flask_admin.form import BaseForm
from wtforms import DecimalField, IntegerField, SelectMultipleField, StringField, ValidationError
from wtforms.validators import InputRequired, Length

from orderapp.webhooks.drafts import EVENT_TYPES, LONGEST_DESCRIPTION, LONGEST_URL

# Characters of a reason: a sentence or two for whoever reads the audit log.
LONGEST_REASON = 500


def _printable(_form: Any, field: Any) -> None:
    if not (field.data or "").isprintable():
        raise ValidationError("Must be printable characters only.")


class ProductForm(BaseForm):
    """Name and price."""

    name = StringField("Name", [InputRequired(), _printable], render_kw={"maxlength": 200})
    price = DecimalField("Price", [InputRequired()], places=2, render_kw={"step": "0.01", "min": "0"})


class NewProductForm(ProductForm):
    """A product as it begins; afterwards its stock only moves."""

    stock = IntegerField("Opening stock", [InputRequired()], default=0, render_kw={"min": "0"})


class RestockForm(BaseForm):
    """Units that arrived or are missing."""

    quantity = IntegerField(
        "Units", [InputRequired()], description="What arrived; below zero for what was found missing. Stock is never set."
    )
    reason = StringField("Reason", [InputRequired(), Length(max=LONGEST_REASON), _printable], description="For the audit log.")


class EndpointForm(BaseForm):
    """Where webhooks go, and which."""

    # Not "url": Flask-Admin takes that for the page to return to.
    address = StringField("URL", [InputRequired()], render_kw={"maxlength": LONGEST_URL})
    event_types = SelectMultipleField(
        "Events", [InputRequired()], choices=EVENT_TYPES, default=EVENT_TYPES, description="Several with Ctrl or Cmd held."
    )
    description = StringField("Description", [_printable], render_kw={"maxlength": LONGEST_DESCRIPTION})


class NewEndpointForm(EndpointForm):
    """An endpoint, and whose orders it hears of for good."""

    client = StringField("Client", [_printable], description="The API client whose orders it hears of; empty: all orders.")


class RotateForm(BaseForm):
    """Nothing to fill in: sending it is the decision."""


class ActionForm(BaseForm):
    """One action on the chosen rows."""

    action = StringField()
    url = StringField()
    reason = StringField("Reason", [Length(max=LONGEST_REASON), _printable])
