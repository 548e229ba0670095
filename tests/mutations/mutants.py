"""Each guard of the service, the text that makes it, and the tests that are named after it."""

from dataclasses import dataclass
from pathlib import Path


class OutdatedMutantError(Exception):
    """The text that a mutant removes is not there, or there twice: the guard has moved, and the mutant must follow."""


@dataclass(frozen=True)
class Mutant:
    """A service without one guard; ``named`` are the tests that speak of it, as pytest takes them."""

    guard: str
    path: str
    old: str
    new: str
    named: str

    def apply(self, root: Path) -> None:
        """Remove the guard from the tree below ``root``. Raises OutdatedMutantError."""
        text = (root / self.path).read_text()
        if text.count(self.old) != 1:
            raise OutdatedMutantError(f"{self.guard}: {self.path} holds the text {text.count(self.old)} times, not once")
        (root / self.path).write_text(text.replace(self.old, self.new))


_SETTLE = """\
        held = states.lock_claimed(session, claims, task_id)
        if not held:
            return 0
        items = [ItemRow(*row) for row in session.execute(_ITEMS, {"ids": held})]
        units = stock.lock_stock(session, {item.product_id for item in items})
"""

_SETTLE_PRODUCTS_FIRST = """\
        items = [ItemRow(*row) for row in session.execute(_ITEMS, {"ids": [claim.order_id for claim in claims]})]
        units = stock.lock_stock(session, {item.product_id for item in items})
        held = states.lock_claimed(session, claims, task_id)
        if not held:
            return 0
        items = [item for item in items if item.order_id in held]
"""

MUTANTS = (
    Mutant(
        "fence: a run that lost its claim settles nothing",
        "orderapp/orders/states.py",
        """\
    ON orders.id = mine.id AND orders.attempts = mine.attempts
WHERE orders.status = 'processing' AND orders.task_id = CAST(:task_id AS uuid)
""",
        """\
    ON orders.id = mine.id
WHERE :task_id IS NOT NULL
""",
        "tests/orders/test_interruptions.py",
    ),
    Mutant(
        "half of the fence: the number of the attempt",
        "orderapp/orders/states.py",
        "    ON orders.id = mine.id AND orders.attempts = mine.attempts\n",
        "    ON orders.id = mine.id\n",
        "tests/orders/test_interruptions.py",
    ),
    Mutant(
        "lease of an order",
        "orderapp/orders/states.py",
        "(status = 'processing' AND lease_until <= clock_timestamp())",
        "(status = 'processing')",
        "tests/orders/test_interruptions.py",
    ),
    Mutant(
        "unique ledger",
        "migrations/versions/0001_orders_and_outbox.py",
        """\
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The database itself refuses to deduct, or to give back, the same line twice.
    UNIQUE (order_id, product_id, kind)
""",
        "    created_at timestamptz NOT NULL DEFAULT clock_timestamp()\n",
        "tests/test_constraints.py",
    ),
    Mutant(
        "SKIP LOCKED of the relay",
        "orderapp/outbox/relaying.py",
        "LIMIT :limit FOR UPDATE SKIP LOCKED\n",
        "LIMIT :limit FOR UPDATE\n",
        "tests/outbox/test_side_by_side.py tests/house/test_locks.py",
    ),
    Mutant(
        "delete only what was confirmed",
        "orderapp/outbox/relaying.py",
        "acked = [row_id for message in receipt.acked for row_id in message.row_ids]",
        "acked = [row_id for message in messages for row_id in message.row_ids]",
        "tests/outbox/test_relaying.py tests/outbox/test_scripted_peer.py",
    ),
    Mutant(
        "rescue of orders",
        "orderapp/orders/rescuing.py",
        "            enqueue_many(ORDERS_PROCESS, due)\n",
        "",
        "tests/orders/test_rescuing.py",
    ),
    Mutant(
        "rescue of deliveries",
        "orderapp/webhooks/rescuing.py",
        "        enqueue_many(WEBHOOKS_DELIVER, ids)\n    return len(ids)\n",
        "    return len(ids)\n",
        "tests/webhooks/test_rescuing.py",
    ),
    Mutant(
        "lock order: orders before products",
        "orderapp/orders/processing.py",
        _SETTLE,
        _SETTLE_PRODUCTS_FIRST,
        "tests/house/test_locks.py tests/orders/test_processing.py tests/journeys/test_crossing_orders.py",
    ),
    Mutant(
        "lock order: products by id",
        "orderapp/products/stock.py",
        "WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE",
        "WHERE id = ANY(:ids) ORDER BY random() FOR NO KEY UPDATE",
        "tests/house/test_locks.py tests/products/test_stock.py tests/journeys/test_crossing_orders.py",
    ),
    Mutant(
        "compare-and-set of a delivery's record",
        "orderapp/webhooks/outcomes.py",
        "AND d.attempt = r.attempt AND d.state",
        "AND d.state",
        "tests/webhooks/test_claims.py tests/webhooks/test_sending.py",
    ),
    Mutant(
        "lease of a delivery",
        "orderapp/webhooks/claims.py",
        "(lease_until <= clock_timestamp() AND attempt < :last_attempt)",
        "attempt < :last_attempt",
        "tests/webhooks/test_claims.py",
    ),
)
