"""``monitoring/auditing.py``: what is right passes, what is wrong is named, and only what changed is read again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from orderapp.monitoring import facts, ledger, marks
from orderapp.monitoring.auditing import Scope, audit
from orderapp.monitoring.findings import Report
from orderapp.orders.processing import process_orders
from tests.monitoring.conftest import Plant
from tests.monitoring.every_state import ENDPOINT, every_state
from tests.orders.examples import TASK, placed
from tests.sql import holding, one, sql
from tests.wire import listening

pytestmark = [pytest.mark.settings(**ENDPOINT), pytest.mark.usefixtures("app")]

Make = Callable[..., int]

ALL = Scope(everything=True, webhooks=True)
CHANGED = Scope(webhooks=True)


def names(report: Report) -> dict[str, tuple[int, ...]]:
    """Return the ids of what is violated, by name."""
    return {violation.name: violation.ids for violation in report.violations}


def runs() -> int:
    """Return how many clean runs are on record."""
    return int(one("SELECT count(*) FROM audit_runs"))


def lapse_margin() -> None:
    """Let the last clean run lie so far back that its margin covers nothing of what exists."""
    sql(
        "UPDATE audit_runs SET order_id = %(n)s, movement_id = %(n)s, attempt_id = %(n)s, event_id = %(e)s",
        n=10**6,
        e=LAST_EVENT,
    )


# Above every id that a version 7 UUID has before the year 10889.
LAST_EVENT = "ffffffff-ffff-7fff-bfff-ffffffffffff"


@pytest.mark.parametrize("scope", [ALL, CHANGED, Scope(), Scope(everything=True)])
def test_a_database_with_every_state_is_consistent(a_product: Make, scope: Scope) -> None:
    """Everything that the acts can do is legal, with and without an endpoint."""
    ids = every_state(a_product)
    report = audit(scope)
    assert names(report) == {}
    assert report.consistent
    assert report.notices == ()
    assert report.orders == len(ids) - 2


def test_an_empty_database_is_consistent() -> None:
    """There is nothing to be wrong."""
    assert audit(ALL).consistent
    assert audit(CHANGED).consistent


def test_the_audit_writes_nothing_but_its_mark(a_product: Make) -> None:
    """Its snapshot is read-only to PostgreSQL itself."""
    every_state(a_product)
    with listening() as wire:
        audit(ALL)
    changing = [said.statement for said in wire.said if said.statement.split()[0] not in {"SELECT", "WITH"}]
    assert [statement.split()[2] for statement in changing] == ["audit_runs", "audit_balances"]
    assert one("SELECT count(*) FROM audit_runs") == 1


def test_chunks_see_every_order_and_every_movement_once(a_product: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gaps the ids have."""
    ids = every_state(a_product)
    sql("SELECT setval(pg_get_serial_sequence('orders', 'id'), 5000000000)")
    sql("SELECT setval(pg_get_serial_sequence('stock_movements', 'id'), 5000000000)")
    late = placed((ids["product"], 1))
    process_orders([late], TASK)
    monkeypatch.setattr(facts, "CHUNK", 2)
    monkeypatch.setattr(ledger, "CHUNK", 3)
    reached: list[tuple[int, int]] = []
    report = audit(ALL, lambda now, last: reached.append((now, last)))
    assert report.consistent, report
    assert report.orders == len(ids) - 1
    assert reached[0] == (0, late)
    assert reached[-1] == (late, late)
    assert len(reached) == 1 + (report.orders + 1) // 2


def test_the_first_run_checks_everything_and_the_next_what_changed(a_product: Make) -> None:
    """Without a clean run there is nothing to rely on."""
    ids = every_state(a_product)
    assert audit(CHANGED).since is None
    lapse_margin()
    sql("UPDATE audit_runs SET order_id = %(id)s", id=ids["pending"])
    second = audit(CHANGED)
    assert (second.orders, second.since is None) == (1, False)
    assert runs() == 2


def test_what_no_later_change_touched_is_left_to_a_full_run(a_product: Make, plant: Plant) -> None:
    """That is the price of looking at what changed only, and what --full is for."""
    ids = every_state(a_product)
    audit(ALL)
    lapse_margin()
    plant(f"UPDATE orders SET total_amount = 1 WHERE id = {ids['told']}")
    assert audit(CHANGED).consistent
    assert names(audit(ALL)) == {"total_not_lines": (ids["told"],)}


TOUCHES = {
    "an event": "INSERT INTO order_events (id, order_id, sequence, type) VALUES ('{event}', {order}, 3, 'order.confirmed')",
    "a movement": "INSERT INTO stock_movements (id, product_id, order_id, delta, kind)"
    " VALUES (2000000, {product}, {order}, 3, 'return')",
    "an attempt": "INSERT INTO webhook_attempts (id, delivery_id, attempt, started_at, duration_ms, status_code)"
    " SELECT 2000000, id, 9, now(), 1, 200 FROM webhook_deliveries WHERE order_id = {order}",
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_change_after_the_clean_run_is_checked(a_product: Make, plant: Plant, touch: str) -> None:
    """Each of the traces that an act leaves leads to its order."""
    ids = every_state(a_product)
    audit(ALL)
    lapse_margin()
    plant(TOUCHES[touch].format(event=LAST_EVENT, order=ids["confirmed"], product=ids["product"]))
    report = audit(CHANGED)
    assert ids["confirmed"] in {order_id for violation in report.violations for order_id in violation.ids}
    assert runs() == 1


def test_a_violation_is_found_again_until_it_is_mended(a_product: Make, plant: Plant) -> None:
    """A run that found something leaves no mark."""
    ids = every_state(a_product)
    audit(ALL)
    plant(f"UPDATE orders SET webhook_sent = true WHERE id = {ids['pending']}")
    for _ in range(2):
        assert names(audit(CHANGED)) == {"webhook_sent_wrong": (ids["pending"],)}
    assert runs() == 1
    plant(f"UPDATE orders SET webhook_sent = false WHERE id = {ids['pending']}")
    assert audit(CHANGED).consistent
    assert runs() == 2


def test_stock_is_compared_for_every_product_also_when_little_changed(a_product: Make, plant: Plant) -> None:
    """The balances of the last clean run stand for the ledger before it."""
    ids = every_state(a_product)
    audit(ALL)
    sql("UPDATE audit_runs SET movement_id = (SELECT max(id) + 1 FROM stock_movements)")
    store_balances()
    process_orders([placed((ids["product"], 7))], TASK)
    with listening() as wire:
        assert audit(CHANGED).consistent
    sums = [said.parameters for said in wire.said if "sum(delta)::bigint" in said.statement]
    assert [(values["low"], values["high"]) for values in sums] == [(movements(), movements())]
    plant(f"UPDATE products SET stock = stock + 1 WHERE id = {ids['rare']}")
    assert names(audit(CHANGED)) == {"stock_not_ledger": (ids["rare"],)}


def movements() -> int:
    """Return the newest movement's id."""
    return int(one("SELECT max(id) FROM stock_movements"))


def store_balances() -> None:
    """Store what the ledger sums up to, as a clean run does when its margin has passed."""
    sql(
        "INSERT INTO audit_balances SELECT product_id, sum(delta) FROM stock_movements GROUP BY 1"
        " ON CONFLICT (product_id) DO UPDATE SET units = excluded.units"
    )


def test_a_stored_balance_that_is_wrong_accuses_nobody(a_product: Make) -> None:
    """It is a shortcut: what looks wrong beside it is judged by the whole ledger, and the balance is corrected."""
    every_state(a_product)
    audit(ALL)
    sql("UPDATE audit_runs SET movement_id = (SELECT max(id) + 1 FROM stock_movements)")
    sql("INSERT INTO audit_balances SELECT id, 10 FROM products")
    assert audit(CHANGED).consistent
    assert sql("SELECT product_id FROM audit_balances WHERE units <> 0") == []


def test_the_mark_stays_behind_what_may_not_be_committed_yet(a_product: Make) -> None:
    """Ids are given out before the commit: a row of the last ten minutes may still have a late neighbour."""
    old, middle, new = (placed((a_product(), 1)) for _ in range(3))
    sql("UPDATE orders SET created_at = now() - interval '20 min' WHERE id = %(id)s", id=old)
    sql("UPDATE orders SET created_at = now() - interval '11 min' WHERE id = %(id)s", id=middle)
    audit(ALL)
    mark = one("SELECT order_id, movement_id, attempt_id, event_id, checked_at FROM audit_runs")
    assert (mark.order_id, mark.movement_id, mark.attempt_id) == (new, 1, 1)
    milliseconds = int(mark.event_id.replace("-", ""), 16) >> 80
    assert datetime.fromtimestamp(milliseconds / 1000, UTC) - (mark.checked_at - marks.MARGIN) < timedelta(milliseconds=2)


def test_a_mark_is_not_moved_by_an_audit_that_another_has_overtaken(a_product: Make) -> None:
    """The balances belong to one mark; two audits at once leave those of the first."""
    every_state(a_product)
    audit(ALL)
    with listening() as wire:
        wire.before("pg_advisory_xact_lock", lambda: sql(OVERTAKE))
        assert audit(CHANGED).consistent
    assert runs() == 2


OVERTAKE = """
INSERT INTO audit_runs (checked_at, everything, orders, order_id, movement_id, attempt_id, event_id)
SELECT now(), true, 0, 1, 1, 1, event_id FROM audit_runs
"""


def test_a_parked_message_is_mentioned_and_no_violation(a_product: Make, plant: Plant) -> None:
    """It waits for an operator, and the rescuer goes around it."""
    every_state(a_product)
    plant("UPDATE outbox SET parked_at = now(), error = 'test' WHERE id = (SELECT max(id) FROM outbox)")
    report = audit(ALL)
    assert report.consistent
    assert [(notice.name, notice.count) for notice in report.notices] == [("outbox_parked", 1)]
    assert report.notices[0].ids == (one("SELECT max(id) FROM outbox"),)


def test_only_the_first_twenty_ids_are_kept(a_product: Make, plant: Plant) -> None:
    """A broken million does not fill memory or terminal."""
    product_id = a_product()
    ids = [placed((product_id, 1)) for _ in range(25)]
    plant("UPDATE orders SET webhook_sent = true")
    (violation,) = audit(ALL).violations
    assert (violation.count, list(violation.ids)) == (25, ids[:20])


def test_an_audit_waits_for_nobody(a_product: Make) -> None:
    """Whoever holds locks on orders and products does not hold it up, and the other way round."""
    ids = every_state(a_product)
    with holding("SELECT 1 FROM orders, products ORDER BY 1 FOR UPDATE"):
        assert audit(ALL).orders == len(ids) - 2
