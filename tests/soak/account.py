"""The account at the end: every order that was attempted, every webhook that was due."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from string import digits
from typing import Any

import orjson

from tests.journeys.world import World
from tests.servers.waiting import wait_until
from tests.soak.load import Answers
from tests.soak.operators import Operators
from tests.soak.recorder import Told
from tests.soak.shop import Shop

FINAL = {"confirmed", "failed", "cancelled"}

# Characters of an exception that tell it from others.
SHOWN = 100

# Seconds for a full audit of a million orders, and more.
AUDIT = 600

_EVENTS = """
SELECT id::text, order_id, sequence FROM order_events WHERE type IN ('order.confirmed', 'order.failed', 'order.cancelled')
"""

# The ledger has the last word on whether a line was sold twice; so does the history on whether an order ended twice.
_TWICE = """
SELECT order_id FROM stock_movements WHERE kind = 'sale' GROUP BY order_id, product_id HAVING count(*) > 1
UNION
SELECT order_id FROM order_events GROUP BY order_id
HAVING count(*) FILTER (WHERE type IN ('order.confirmed', 'order.failed'))
    > 1 + count(*) FILTER (WHERE type = 'order.reopened')
"""

# What a process logs when it met something that nobody had thought of.
BUGS = ("batch failed, its orders run alone", "order failed alone", "task failed", "Internal Server Error")


@dataclass
class Account:
    """Orders by the total-queue model, webhooks by their events; ``faults`` says what is wrong, in sentences."""

    attempted: int = 0
    accepted: int = 0
    refused: int = 0
    unanswered: int = 0
    recovered: int = 0  # stored although the client got no answer
    settled: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    webhooks_due: int = 0
    webhooks_received: int = 0
    webhook_copies: int = 0
    webhooks_missing: int = 0
    webhooks_wrong: int = 0  # unfounded, badly signed, of two ids, told in two ways
    processing_errors: int = 0
    audit_violations: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Tell whether the verdict is clean."""
        return not self.faults

    def require(self, count: int, what: str, some: Iterable[Any] = ()) -> int:
        """Note a fault unless the count is zero; returns it."""
        if count:
            self.faults.append(f"{count} {what} {sorted(some, key=str)[:5] or ''}".rstrip())
        return count


def account(shop: Shop, answers: Answers, operators: Operators | None = None) -> Account:
    """Compare what clients and the receiver know with the database. Everything must have come to rest."""
    found = Account()
    _orders(found, shop, answers)
    _webhooks(found, shop.world.rows(_EVENTS), shop.recorder.told)
    if operators is not None:
        _operators(found, shop, operators)
    for kind, count in shop.unrest().items():
        found.require(count, f"{kind} not final")
    found.require(shop.world.value("SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL"), "messages parked")
    found.require(answers.statuses[500], "answers of status 500")
    found.require(shop.world.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"), "deadlocks")
    found.processing_errors = shop.world.value(
        "SELECT count(*) FROM orders WHERE failure_reason ->> 'code' = 'processing_error'"
    )
    report = audit(shop.world, "--full")
    found.audit_violations = found.require(
        len(report["violations"]), "violations found by flask audit", [one["name"] for one in report["violations"]]
    )
    return found


def _orders(found: Account, shop: Shop, answers: Answers) -> None:
    stored: dict[str, dict[int, str]] = defaultdict(dict)
    for order_id, reference, status in shop.world.rows("SELECT id, reference, status FROM orders"):
        stored[reference][order_id] = status
    found.attempted, found.accepted = answers.attempted, len(answers.accepted)
    found.refused, found.unanswered = len(answers.refused), len(answers.unknown)
    found.recovered = len(answers.unknown & stored.keys())
    lost = {ref for ref, order_id in answers.accepted.items() if stored[ref].get(order_id) not in FINAL}
    twice = {ref for ref, orders in stored.items() if len(orders) > 1} | {str(row[0]) for row in shop.world.rows(_TWICE)}
    known = answers.accepted.keys() | answers.unknown
    unexpected = {ref for ref, orders in stored.items() if orders and ref not in known}
    found.settled = found.accepted - len(lost)
    found.lost = found.require(len(lost), "orders lost", lost)
    found.duplicated = found.require(len(twice), "orders duplicated", twice)
    found.unexpected = found.require(len(unexpected), "orders that nobody placed", unexpected)


def _webhooks(found: Account, events: list[tuple[Any, ...]], told: list[Told]) -> None:
    due = {event_id: (order_id, sequence) for event_id, order_id, sequence in events}
    copies = Counter(one.id for one in told)
    bodies, ids = defaultdict(set), defaultdict(set)
    for one in told:
        bodies[one.id].add(one.digest)
        ids[one.order_id, one.sequence].add(one.id)
    missing = due.keys() - copies.keys()
    found.webhooks_due, found.webhooks_received = len(due), len(due.keys() & copies.keys())
    found.webhook_copies = sum(copies.values()) - len(copies)
    found.webhooks_missing = found.require(len(missing), "webhooks never received", missing)
    unfounded = {one.id for one in told if due.get(one.id) != (one.order_id, one.sequence)}
    found.webhooks_wrong = (
        found.require(len(unfounded), "webhooks of what did not commit", unfounded)
        + found.require(sum(not one.valid for one in told), "webhooks with a wrong signature")
        + found.require(sum(len(each) > 1 for each in bodies.values()), "webhooks told in two ways under one id")
        + found.require(sum(len(each) > 1 for each in ids.values()), "events told under two ids")
    )


def _operators(found: Account, shop: Shop, operators: Operators) -> None:
    rows = shop.world.rows("SELECT id FROM orders WHERE id = ANY(%s) AND status <> 'cancelled'", list(operators.cancelled))
    found.require(len(rows), "acknowledged cancels that are none", rows)
    reopened = Counter(row[0] for row in shop.world.rows("SELECT order_id FROM order_events WHERE type = 'order.reopened'"))
    found.require(sum((operators.reopened - reopened).values()), "acknowledged retries that are none")
    restocked = shop.world.value("SELECT coalesce(sum(delta), 0) FROM stock_movements WHERE kind = 'restock'")
    if not operators.restocked <= restocked <= operators.restocks_tried:
        found.faults.append(f"{restocked} units restocked, not {operators.restocked} to {operators.restocks_tried}")


def audit(world: World, *options: str) -> dict[str, Any]:
    """Run ``flask audit`` and return its report."""
    process = world.processes.start("audit", "flask", "audit", "--json", *options)
    wait_until(lambda: process.exit_code is not None, AUDIT, "the audit's end")
    report: dict[str, Any] = orjson.loads(process.text.strip().splitlines()[-1])
    return report


def oddities(shop: Shop) -> Counter[str]:
    """Count what the processes printed that may tell of a bug: such log lines, and the last lines of tracebacks."""
    found: Counter[str] = Counter()
    for process in shop.world.processes.started:
        inside = False
        for line in process.text.splitlines():
            if inside and not line.startswith((" ", "Traceback")) and line.strip():
                found[f"{process.name.rstrip(digits)}: {line[:SHOWN]}"] += 1
            inside = line.startswith("Traceback") or (inside and (line.startswith(" ") or not line.strip()))
            found.update(sign for sign in BUGS if sign in line)
    return found
