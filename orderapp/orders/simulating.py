"""Act: orders are simulated against the running API: products are created, ordered over HTTP, counted and archived."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from orderapp.database import reading
from orderapp.orders import simulated
from orderapp.orders.simulated import Outcome
from orderapp.orders.simulator import Clients
from orderapp.orders.workload import CROSSING, SHORT, Assortment, random_orders, stock_for
from orderapp.products.editing import archive_product, create_product

# What one unit costs; any price does.
PRICE = Decimal("2.50")

# Seconds between two looks at how far it is: smooth for a person, and 5 counts a second cost the database nothing.
LOOK = 0.2

# Called with the orders posted and settled so far.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What to simulate: ``rate`` orders a second over so many connections, ``wait`` seconds for the last to settle."""

    count: int
    rate: float
    connections: int
    seed: int
    wait: float


@dataclass(frozen=True)
class Report:
    """What came of it. ``unanswered`` may have been stored or not; ``lost`` were accepted and are not in the database."""

    accepted: int
    unanswered: int
    lost: int
    per_second: float
    outcome: Outcome
    conserved: bool

    @property
    def good(self) -> bool:
        """Tell whether orders were taken, every one is final, and no unit is missing or left over."""
        return self.conserved and self.accepted > 0 and not self.lost and not self.outcome.open


def simulate(plan: Plan, clients: Clients, actor: str, progress: Progress) -> Report:
    """Place random orders and wait until they are settled.

    Afterwards the products made for it are archived; no other product's stock was touched. Raises ApiError when the API
    is away at the start or refuses an order.
    """
    clients.reach()
    assortment = _opened(plan, actor)
    try:
        with reading() as session:
            after = simulated.last_order(session)
        took = _post_and_wait(plan, clients, assortment, after, progress)
        return _report(clients, assortment, after, took)
    finally:
        for product_id in assortment.ids:
            archive_product(product_id, actor)


def _opened(plan: Plan, actor: str) -> Assortment:
    plenty, little = stock_for(plan.count)
    hot = create_product("Simulated hot", PRICE, plenty, actor)
    crossing = tuple(create_product(f"Simulated crossing {n + 1}", PRICE, plenty, actor) for n in CROSSING)
    return Assortment(hot, crossing, tuple(create_product(f"Simulated short {n + 1}", PRICE, little, actor) for n in SHORT))


def _post_and_wait(plan: Plan, clients: Clients, assortment: Assortment, after: int, progress: Progress) -> float:
    """Return the seconds that the posting took; afterwards all orders are final or the plan's patience has ended."""

    def settled_and_open() -> tuple[int, int]:
        with reading() as session:
            settled, still_open = simulated.reached(session, after, assortment.ids)
        progress(clients.posted, settled)
        return settled, still_open

    began = time.monotonic()
    with clients.posting(random_orders(assortment, plan.count, plan.seed), plan.rate, plan.connections):
        while clients.posted < plan.count and not clients.refused:
            settled_and_open()
            time.sleep(LOOK)
    clients.raise_refusal()
    took = time.monotonic() - began
    while time.monotonic() - began - took < plan.wait:
        settled, still_open = settled_and_open()
        if not still_open and settled >= len(clients.accepted):
            break
        time.sleep(LOOK)
    return took


def _report(clients: Clients, assortment: Assortment, after: int, took: float) -> Report:
    with reading() as session:
        outcome = simulated.outcome(session, after, assortment.ids, clients.accepted)
        conserved = simulated.conserved(session, assortment.ids)
    accepted = len(clients.accepted)
    return Report(accepted, clients.unanswered, accepted - outcome.known, clients.posted / took, outcome, conserved)
