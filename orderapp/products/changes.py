"""What a product can be made into."""

from dataclasses import dataclass
from decimal import Decimal

# The largest price: the column has ten digits before the point.
HIGHEST_PRICE = Decimal("9999999999.99")

# Units: more than any warehouse, and far from the end of a bigint even after many restocks.
MOST_STOCK = 1_000_000_000_000

# Characters of a name, as the column has it.
LONGEST_NAME = 200


@dataclass(frozen=True)
class ProductChange:
    """What to change; None leaves it as it is."""

    name: str | None = None
    price: Decimal | None = None
