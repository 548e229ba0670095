"""Moving orders: every legal move, and that the database refuses every other, even to raw SQL."""

from collections.abc import Callable
from itertools import permutations
from uuid import uuid4

import psycopg2
import pytest

from orderapp.database import writing
from orderapp.orders import states
from orderapp.orders.states import Claim, Outcome
from tests.orders.examples import TASK, a_task, died, history, lapse, order, placed
from tests.sql import one, sql

AProduct = Callable[..., int]

STATUSES = ("pending", "processing", "confirmed", "failed", "cancelled")

LEGAL = {
    ("pending", "processing"),
    ("processing", "confirmed"),
    ("processing", "failed"),
    ("pending", "cancelled"),
    ("confirmed", "cancelled"),
    ("failed", "pending"),
}

# The steps from a new order to each status.
WAY = {
    "pending": [],
    "processing": ["processing"],
    "confirmed": ["processing", "confirmed"],
    "failed": ["processing", "failed"],
    "cancelled": ["cancelled"],
}

# A move that brings along all that the row's own constraints ask for: only the trigger is left to refuse it.
MOVE = """UPDATE orders SET status = %(status)s, task_id = %(task)s, lease_until = now(), rescue_at = now(), total_amount = 1,
    failure_reason = '{"code": "test"}'"""


def move(status: str) -> None:
    """Move the only order by raw SQL, as somebody at a terminal might."""
    sql(MOVE, status=status, task=str(uuid4()))


@pytest.mark.parametrize(("origin", "target"), list(permutations(STATUSES, 2)))
def test_the_database_lets_an_order_move_only_where_it_may(a_product: AProduct, origin: str, target: str) -> None:
    """All twenty pairs, by raw SQL: six are legal."""
    placed((a_product(), 1))
    for step in WAY[origin]:
        move(step)
    if (origin, target) in LEGAL:
        move(target)
        assert one("SELECT status FROM orders") == target
        return
    with pytest.raises(psycopg2.errors.CheckViolation, match=f"order 1 cannot go from {origin} to {target}"):
        move(target)
    assert one("SELECT status FROM orders") == origin


@pytest.mark.parametrize("status", STATUSES)
def test_writing_the_status_that_is_there_is_no_move(a_product: AProduct, status: str) -> None:
    """An update of other columns may name the status again."""
    placed((a_product(), 1))
    for step in WAY[status]:
        move(step)
    move(status)
    assert one("SELECT status FROM orders") == status


@pytest.mark.parametrize("status", STATUSES[1:])
def test_an_order_begins_pending(a_product: AProduct, status: str) -> None:
    """Nobody inserts an order that is settled already."""
    placed((a_product(), 1))
    with pytest.raises(psycopg2.errors.CheckViolation, match=f"an order begins pending, not {status}"):
        sql(
            "INSERT INTO orders (client_id, currency, status, rescue_at, task_id, lease_until, total_amount, failure_reason)"
            " VALUES (1, 'USD', %(status)s, now(), gen_random_uuid(), now(), 1, '{}')",
            status=status,
        )


def test_a_claim_takes_new_orders_only(a_product: AProduct) -> None:
    """What is claimed, was claimed before, is final or unknown is passed over; claims come in id order."""
    lamp = a_product()
    new, claimed, interrupted, final, newer = (placed((lamp, 1)) for _ in range(5))
    with writing() as session:
        states.claim_new(session, [claimed, final], a_task())
        states.settle(session, [Outcome(final, None, {"code": "test"})])
    died(interrupted)
    with writing() as session:
        claims = states.claim_new(session, [newer, new, claimed, interrupted, final, 4711], TASK)
    assert claims == [Claim(new, 1), Claim(newer, 1)]


def test_a_claim_given_back_uncounted_is_as_good_as_new(a_product: AProduct) -> None:
    """An outage took it away: the order may go with a batch again, at once."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        claims = states.claim_new(session, [order_id], TASK)
        states.release(session, claims, TASK, counted=False)
    assert (order(order_id).status, order(order_id).attempts) == ("processing", 0)
    with writing() as session:
        assert states.interrupted(session, [order_id]) == []
        assert states.claim_new(session, [order_id], a_task()) == [Claim(order_id, 1)]


def test_a_claim_given_back_counted_waits_to_run_alone(a_product: AProduct) -> None:
    """A bug in its batch: the attempt stays, nobody takes the order into a batch again."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        states.release(session, states.claim_new(session, [order_id], TASK), TASK)
    with writing() as session:
        assert states.claim_new(session, [order_id], TASK) == []
        assert states.interrupted(session, [order_id]) == [order_id]
        assert states.claim_interrupted(session, order_id, TASK) == Claim(order_id, 2)


@pytest.mark.parametrize("counted", [True, False], ids=["counted", "uncounted"])
def test_a_lost_claim_cannot_be_given_back(a_product: AProduct, counted: bool) -> None:
    """Somebody else has it by now; his lease and his attempt stay."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        lost = states.claim_new(session, [order_id], TASK)
    lapse(order_id)
    with writing() as session:
        states.claim_interrupted(session, order_id, TASK)
    before = order(order_id)
    with writing() as session:
        states.release(session, lost, TASK, counted=counted)
    assert order(order_id) == before


def test_interrupted_orders_come_fewest_attempts_first(a_product: AProduct) -> None:
    """And by id among equals; a live lease hides an order."""
    lamp = a_product()
    first, second, third, alive = (placed((lamp, 1)) for _ in range(4))
    died(first, attempts=2)
    died(second, third, attempts=1)
    with writing() as session:
        states.claim_new(session, [alive], TASK)
        assert states.interrupted(session, [alive, first, third, second]) == [second, third, first]


def test_the_loser_of_a_race_for_an_interrupted_order_gets_none(a_product: AProduct) -> None:
    """Once it has the lock, the order is claimed already."""
    order_id = placed((a_product(), 1))
    died(order_id)
    with writing() as session:
        assert states.claim_interrupted(session, order_id, TASK) == Claim(order_id, 2)
    with writing() as session:
        assert states.claim_interrupted(session, order_id, a_task()) is None


@pytest.mark.parametrize(
    ("attempts", "task", "held"), [(1, TASK, True), (2, TASK, False), (1, "00000000-0000-7000-8000-000000000000", False)]
)
def test_only_task_and_attempt_together_hold_a_claim(a_product: AProduct, attempts: int, task: str, held: bool) -> None:
    """A task id alone does not tell two runs of one message apart."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        states.claim_new(session, [order_id], TASK)
        assert states.lock_claimed(session, [Claim(order_id, attempts)], task) == ([order_id] if held else [])


def test_sequences_are_gap_free_from_placed_to_reopened(a_product: AProduct) -> None:
    """Each move counts the order's own counter in the statement that holds its row."""
    order_id = placed((a_product(), 1))
    for outcome in (Outcome(order_id, None, {"code": "test"}), Outcome(order_id, None, {"code": "again"})):
        with writing() as session:
            states.claim_new(session, [order_id], a_task())
            states.settle(session, [outcome])
        with writing() as session:
            states.reopen(session, order_id)
    with writing() as session:
        states.cancel(session, order_id)
    kinds = ["placed", "failed", "reopened", "failed", "reopened", "cancelled"]
    assert history(order_id) == [(number, f"order.{kind}") for number, kind in enumerate(kinds, 1)]
    assert order(order_id).last_sequence == len(kinds)


def test_settling_nothing_says_nothing(a_product: AProduct) -> None:
    """An empty list is a list."""
    order_id = placed((a_product(), 1))
    with writing() as session:
        states.settle(session, [])
    assert history(order_id) == [(1, "order.placed")]
