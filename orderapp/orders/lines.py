"""What a client asks for: products and units."""

from collections.abc import Sequence
from dataclasses import dataclass

from orderapp.errors import InvalidInputError

# Units per product. Keeps quantity x price (at most 10 digits before the point) x 100 lines inside the total's 20.
MOST_UNITS = 1_000_000


@dataclass(frozen=True)
class Line:
    """One product and how many units of it the client asks for."""

    product_id: int
    quantity: int


def merge(lines: Sequence[Line]) -> dict[int, int]:
    """Return the units per product; two lines of one product add up. Raises InvalidInputError above MOST_UNITS."""
    merged: dict[int, int] = {}
    for index, line in enumerate(lines):
        merged[line.product_id] = merged.get(line.product_id, 0) + line.quantity
        if merged[line.product_id] > MOST_UNITS:
            raise InvalidInputError([(f"/items/{index}/quantity", f"Adds up to more than {MOST_UNITS} units of one product.")])
    return merged
