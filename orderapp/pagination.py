"""Lists in pages: ``{"data": [...], "next": cursor or null}``.

Nothing is counted or skipped over, so that the thousandth page is as fast as the first. A cursor says where a page ended.
It is signed, and bound to its list and filters: one of another list would lead to rows that nobody asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from flask import current_app
from itsdangerous import BadData, URLSafeSerializer
from marshmallow import Schema, fields, validate

from orderapp.errors import InvalidInputError
from orderapp.fields import QueryInteger

# Rows of a page: what a person looks through, and what a program that copies everything asks for.
USUAL_LIMIT, HIGHEST_LIMIT = 20, 100


class PageSchema(Schema):
    """Which page."""

    limit = QueryInteger(
        load_default=USUAL_LIMIT,
        validate=validate.Range(1, HIGHEST_LIMIT),
        metadata={"description": "The most that is shown at once."},
    )
    cursor = fields.String(
        load_default=None, metadata={"description": "`next` of the page before, with the same filters; opaque."}
    )


def seal(place: Sequence[Any], about: Mapping[str, Any]) -> str:
    """Return the cursor of a place in the list that ``about`` describes."""
    return str(_serializer(about).dumps(list(place)))


def unseal(cursor: str | None, about: Mapping[str, Any]) -> list[Any] | None:
    """Return the place that this cursor was made of, None without one. Raises InvalidInputError for any other text."""
    if cursor is None:
        return None
    try:
        place: list[Any] = _serializer(about).loads(cursor)
    except BadData as error:
        fault = "Not a cursor of this list with these filters; take `next` of the page before, unchanged."
        raise InvalidInputError([("/query/cursor", fault)]) from error
    return place


def _serializer(about: Mapping[str, Any]) -> URLSafeSerializer:
    described = orjson.dumps(about, default=str, option=orjson.OPT_SORT_KEYS)
    return URLSafeSerializer(str(current_app.secret_key), salt=b"cursor:" + described)
