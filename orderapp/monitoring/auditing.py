"""Act: the whole database is compared with itself in one snapshot; a clean run leaves a mark where the next one begins."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from orderapp.database import reading, writing
from orderapp.monitoring import facts, forward, ledger, marks, queries
from orderapp.monitoring.findings import MOST_IDS, Findings, Notice, Report
from orderapp.monitoring.invariants import STOCK
from orderapp.monitoring.marks import CleanRun, Mark

# A rescue is due every few seconds; one late by a quarter of an hour is no backlog of a busy minute.
OVERDUE = timedelta(minutes=15)

# Called with the order id that is reached, and the last one.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scope:
    """What to check; ``webhooks_since`` overrules from when on every outcome needs a delivery."""

    everything: bool = False
    webhooks: bool = False
    webhooks_since: datetime | None = None
    overdue: timedelta = OVERDUE


def audit(scope: Scope, progress: Progress = lambda _done, _all: None) -> Report:
    """Check the invariants in one snapshot, of everything or of what changed since the last clean run.

    Changes no data; afterwards, if nothing was violated, the mark of the clean run is newer. Raises SQLAlchemyError when
    the database cannot be asked.
    """
    began = time.monotonic()
    findings = Findings()
    with _snapshot() as session:
        before = marks.last_mark(session)
        everything = scope.everything or before.run is None
        since = (scope.webhooks_since or marks.webhooks_since(session, before)) if scope.webhooks else None
        after = marks.next_mark(session, since)
        # First, because it is quick: whoever interrupts a full run has seen a progress bar, not a blank screen.
        books = ledger.check_ledger(session, before.movement_id, after.movement_id, everything=everything)
        findings.add((STOCK, product_id) for product_id in books.wrong)
        findings.add(forward.breaches(session, scope.overdue))
        if everything:
            orders = _check_all(session, findings, marks.told_since(session, since), progress)
        else:
            orders = _check_changed(session, findings, before, marks.told_since(session, since))
        notices = _notices(session, scope)
    violations = findings.violations()
    if not violations:
        _leave_mark(before, CleanRun(after, everything, orders, books.changed))
    relied_on = None if everything else before.checked_at
    return Report(after.checked_at, relied_on, orders, time.monotonic() - began, since, violations, notices)


@contextmanager
def _snapshot() -> Iterator[Connection]:
    """Open a read in which every statement sees the same instant, and that PostgreSQL refuses to write in."""
    with reading() as session:
        session.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield session


def _check_all(session: Connection, findings: Findings, since: datetime | None, progress: Progress) -> int:
    last = facts.last_order(session)
    progress(0, last)
    checked = 0
    for low, high, orders in facts.chunks(session):
        findings.add(facts.breaches_in_range(session, low, high, since))
        checked += orders
        progress(high, last)
    return checked


def _check_changed(session: Connection, findings: Findings, before: Mark, since: datetime | None) -> int:
    touched = marks.touched_since(session, before)
    for start in range(0, len(touched), facts.CHUNK):
        findings.add(facts.breaches_of(session, touched[start : start + facts.CHUNK], since))
    return len(touched)


def _notices(session: Connection, scope: Scope) -> tuple[Notice, ...]:
    found = []
    count, ids = queries.parked(session, MOST_IDS)
    if count:
        sentence = "Outbox messages are parked: flask outbox parked shows why, retry or discard them."
        found.append(Notice("outbox_parked", count, tuple(ids), sentence))
    if scope.webhooks and queries.nobody_was_told(session):
        sentence = "WEBHOOK_URL is set, and no settled order has a delivery. Right if it is new; else fan-out does not work."
        found.append(Notice("nobody_was_told", 1, (), sentence))
    return tuple(found)


def _leave_mark(before: Mark, run: CleanRun) -> None:
    with writing() as session:
        marks.record(session, before, run)
