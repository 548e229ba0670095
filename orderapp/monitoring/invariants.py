"""What must be true of every order, product and delivery at any instant, and what it means when it is not.

The conditions on orders read the facts of ``facts.py``: ``o`` is the order, ``l`` its lines beside the ledger, ``h`` its
events beside their deliveries.
"""

from dataclasses import dataclass

STOCK = "stock_not_ledger"
NO_WAY_FORWARD, STUCK = "open_without_way_forward", "stuck"
DELIVERY_NO_WAY_FORWARD, DELIVERY_STUCK = "delivery_without_way_forward", "delivery_stuck"

# Confirmed at some time, and so sold: what was confirmed never opens again.
_SOLD = "(o.status = 'confirmed' OR (o.status = 'cancelled' AND coalesce(h.story, '') LIKE '%confirmed%'))"

_OPEN = "o.status IN ('pending', 'processing')"

# The only ways through order-states.md, told by the events without "order.".
_LEGAL = """CASE WHEN o.status IN ('pending', 'processing') THEN '^placed( failed reopened)*$'
    WHEN o.status = 'cancelled' THEN '^placed( failed reopened)*( confirmed)? cancelled$'
    ELSE '^placed( failed reopened)* ' || o.status || '$' END"""


@dataclass(frozen=True)
class Invariant:
    """One kind of violation: its name, what its ids are, what an operator should know, and (orders) when it is broken."""

    name: str
    subject: str
    sentence: str
    broken: str = ""


ORDERS = (
    Invariant(
        "order_without_lines",
        "order",
        "An order without a line can never have been placed; restore its lines from a backup.",
        "coalesce(l.lines, 0) = 0",
    ),
    Invariant(
        "sale_wrong",
        "order",
        "A confirmed order has not taken each of its lines from stock exactly once; compare its lines with stock_movements.",
        f"{_SOLD} AND NOT coalesce(l.sold_once, false)",
    ),
    Invariant(
        "failed_moved_stock",
        "order",
        "A failed order has moved stock; a failed order sells nothing. Do not retry it, restock by hand.",
        "o.status = 'failed' AND l.moved",
    ),
    Invariant(
        "open_moved_stock",
        "order",
        "An order that is still open has moved stock already; it would be sold again when it settles.",
        f"{_OPEN} AND l.moved",
    ),
    Invariant(
        "cancelled_not_returned",
        "order",
        "What a cancelled order took and what came back do not cancel out; restock the difference.",
        "o.status = 'cancelled' AND (NOT coalesce(l.returned_once, true) OR (l.moved AND h.story NOT LIKE '%confirmed%'))",
    ),
    Invariant(
        "returned_without_cancel",
        "order",
        "A confirmed order has given stock back without being cancelled; the shelf holds less than stock says.",
        "o.status = 'confirmed' AND l.returned",
    ),
    Invariant(
        "movement_not_ordered",
        "order",
        "Stock of a product that the order does not name was moved for it.",
        "l.stray",
    ),
    Invariant(
        "events_not_gap_free",
        "order",
        "Its events are not numbered 1, 2, 3 up to last_sequence; receivers that order by sequence wait or skip.",
        "NOT coalesce(h.gap_free AND h.events = o.last_sequence, false)",
    ),
    Invariant(
        "events_not_legal",
        "order",
        "Its events are no legal path that ends in its status; somebody changed the status without states.py.",
        f"coalesce(h.story, '') !~ ({_LEGAL})",
    ),
    Invariant(
        "total_not_lines",
        "order",
        "Its total_amount, its lines and what the order.confirmed event told differ; only a confirmed order has a total.",
        f"CASE WHEN {_SOLD} THEN o.total_amount IS DISTINCT FROM l.worth OR h.told_total IS DISTINCT FROM l.worth::text"
        " ELSE o.total_amount IS NOT NULL END",
    ),
    Invariant(
        "state_contradicts",
        "order",
        "Reason, claim or settled_at do not fit its status; `flask orders show ID` prints them.",
        "(o.failure_reason IS NULL) = (o.status = 'failed')"
        f" OR (o.settled_at IS NULL) <> ({_OPEN})"
        " OR (o.status = 'processing' AND (o.task_id IS NULL OR o.lease_until IS NULL OR o.attempts < 1))"
        f" OR (o.lease_until IS NOT NULL AND o.status <> 'processing')",
    ),
    Invariant(
        "delivery_missing",
        "order",
        "An outcome has no webhook delivery although others have. If WEBHOOK_URL was unset then, say so once:"
        " flask audit --webhooks-since TIME.",
        "h.untold",
    ),
    Invariant(
        "delivery_unfounded",
        "order",
        "A webhook delivery belongs to no outcome of this order; its receiver is told what did not happen.",
        "h.unfounded",
    ),
    Invariant(
        "delivery_unproven",
        "order",
        "A delivery counts as succeeded without exactly one answer of 2xx among its attempts, or has one and does not count.",
        "h.unproven",
    ),
    Invariant(
        "webhook_sent_wrong",
        "order",
        "webhook_sent does not say whether the receiver got the latest outcome.",
        "o.webhook_sent <> coalesce(h.latest_received, false)",
    ),
)

OTHERS = (
    Invariant(
        STOCK, "product", "Stock is not the sum of its movements; find who wrote products.stock, correct it by a restock."
    ),
    Invariant(
        NO_WAY_FORWARD, "order", "An open order has no message, no lease and no rescue within reach: nothing will settle it."
    ),
    Invariant(STUCK, "order", "An open order's rescue is long overdue: see that beat and a worker for `maintenance` run."),
    Invariant(
        DELIVERY_NO_WAY_FORWARD,
        "delivery",
        "A pending delivery has no message, no lease and no rescue within reach: nothing will send it.",
    ),
    Invariant(
        DELIVERY_STUCK,
        "delivery",
        "A pending delivery's rescue is long overdue: see that beat and a worker for `maintenance` run.",
    ),
)

INVARIANTS: dict[str, Invariant] = {one.name: one for one in (*ORDERS, *OTHERS)}
