"""Fields that the API takes, stricter than marshmallow's: what JSON and a URL say, and nothing that only looks like it."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

# As JSON Schema and Python read it alike; [0-9], for \d takes the digits of every script.
AMOUNT = r"^[0-9]{1,10}(\.[0-9]{1,2})?$"

# No separators, no sign, no other script's digits; 19 of them hold every bigint.
_DIGITS = re.compile(r"[0-9]{1,19}")


class StrictInteger(fields.Integer):
    """An integer as JSON writes it: no "2", no 2.0, no true."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) is not int:  # a bool is an int to isinstance
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class QueryInteger(fields.Integer):
    """A number as a URL writes it: digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not _DIGITS.fullmatch(str(value)):
            raise self.make_error("invalid")
        return super()._deserialize(value, attr, data, **kwargs)


class Instant(fields.AwareDateTime):
    """A time with its zone, in UTC from here on: PostgreSQL does not know every offset that ISO 8601 has."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        try:
            return super()._deserialize(value, attr, data, **kwargs).astimezone(UTC)
        except OverflowError as error:  # an hour before the year 1, or after 9999
            raise self.make_error("invalid", input=value, obj_type="datetime") from error


class Money(fields.Decimal):
    """An amount as text, exact to the cent. A JSON number is refused: most programs read it as a float."""

    default_error_messages = {"amount": 'Must be an amount as text with at most two decimals, such as "12.50".'}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"pattern": AMOUNT, "example": "12.50"} | kwargs.pop("metadata", {})
        super().__init__(places=2, as_string=True, metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:  # noqa: ARG002 - as marshmallow calls it
        if not isinstance(value, str) or not re.fullmatch(AMOUNT, value) or value.endswith("\n"):
            raise self.make_error("amount")
        return Decimal(value)


def plain_text(longest: int) -> list[validate.Validator]:
    """Return the checks of a text that people read: 1 to ``longest`` characters, none of them a control character."""
    no_controls = validate.Regexp(r"^[^\x00-\x1f\x7f-\x9f]*\Z", error="Control characters are not allowed.")
    return [validate.Length(1, longest), no_controls]
