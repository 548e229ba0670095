"""Adding up a day. Slices come in, one row per currency comes out; money is Decimal throughout."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

# Enough to see what sold, short enough for a line of a table.
TOP = 5

# Amounts have two decimals in every currency, as the columns have.
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Counted:
    """What one slice of a day holds in one currency, order by order."""

    currency: str
    orders: int
    failed: int
    cancelled: int
    revenue: Decimal


@dataclass(frozen=True)
class Sold:
    """What one slice of a day sold of one product in one currency, in orders that were not cancelled."""

    currency: str
    product_id: int
    units: int
    revenue: Decimal


@dataclass(frozen=True)
class ProductSales:
    """What one day sold of one product."""

    product_id: int
    units: int
    revenue: Decimal


@dataclass
class Total:
    """One day in one currency.

    ``orders`` were confirmed that day, cancelled later or not; ``cancelled`` of these were cancelled since. Items, revenue,
    average and top products are of the others. ``failed`` orders failed that day and stayed so.
    """

    orders: int = 0
    failed: int = 0
    cancelled: int = 0
    items: int = 0
    revenue: Decimal = Decimal("0.00")
    products: dict[int, ProductSales] = field(default_factory=dict)

    @property
    def average(self) -> Decimal:
        """Return the revenue per order that was not cancelled, rounded half up; 0.00 without any."""
        kept = self.orders - self.cancelled
        return (self.revenue / kept).quantize(CENT, ROUND_HALF_UP) if kept else Decimal("0.00")

    @property
    def top(self) -> list[ProductSales]:
        """Return the products with the highest revenue; of two equals the one with more units, then the lower id."""
        best = sorted(self.products.values(), key=lambda one: (-one.revenue, -one.units, one.product_id))
        return best[:TOP]


class DayTotals:
    """Adds up the slices of one day; one Total per currency."""

    def __init__(self) -> None:
        self._totals: defaultdict[str, Total] = defaultdict(Total)

    def add(self, counted: Iterable[Counted], sold: Iterable[Sold]) -> None:
        """Add one slice."""
        for one in counted:
            total = self._totals[one.currency]
            total.orders += one.orders
            total.failed += one.failed
            total.cancelled += one.cancelled
            total.revenue += one.revenue
        for line in sold:
            total = self._totals[line.currency]
            total.items += line.units
            before = total.products.get(line.product_id, ProductSales(line.product_id, 0, Decimal("0.00")))
            total.products[line.product_id] = ProductSales(
                line.product_id, before.units + line.units, before.revenue + line.revenue
            )

    def by_currency(self, default: str) -> dict[str, Total]:
        """Return the totals of the currencies that had any order counted; a day without any is zeros in the default one."""
        counted = {currency: total for currency, total in sorted(self._totals.items()) if total.orders or total.failed}
        return counted or {default: Total()}
