"""Random orders for a simulation: one hot product, products that cross each other, products that run short."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

# Twelve products: few enough that orders meet at each of them all the time.
CROSSING, SHORT = range(8), range(3)

# Of the orders: every second one wants the hot product, every tenth one a short one.
WANTS_HOT, WANTS_SHORT = 0.5, 0.1

# Units in a line. All products but the short ones have enough for every order to take the most.
MOST_UNITS = 3

# Orders per unit of a short product: WANTS_SHORT x 2 units on average is about twice what there is.
ORDERS_PER_SHORT_UNIT = 30

# Distinct crossing products in an order; with four of eight, two orders nearly always share one.
MOST_CROSSING = 4


@dataclass(frozen=True)
class Assortment:
    """The products of one simulation."""

    hot: int
    crossing: tuple[int, ...]
    short: tuple[int, ...]

    @property
    def ids(self) -> list[int]:
        """Return them all."""
        return [self.hot, *self.crossing, *self.short]


def stock_for(count: int) -> tuple[int, int]:
    """Return the units of a product that is to last for so many orders, and of a short one."""
    return count * MOST_UNITS, max(1, count // ORDERS_PER_SHORT_UNIT)


def random_orders(assortment: Assortment, count: int, seed: int) -> Iterator[dict[int, int]]:
    """Yield orders as units by product id; the same seed yields the same ones.

    Their lines come in any order: it is the service that has to lock products in one order.
    """
    chance = random.Random(seed)  # noqa: S311 - must repeat itself
    for _ in range(count):
        wanted = chance.sample(assortment.crossing, chance.randint(1, MOST_CROSSING))
        if chance.random() < WANTS_HOT:
            wanted.append(assortment.hot)
        if chance.random() < WANTS_SHORT:
            wanted.append(chance.choice(assortment.short))
        chance.shuffle(wanted)
        yield {product_id: chance.randint(1, MOST_UNITS) for product_id in wanted}
