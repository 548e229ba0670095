"""The simulation in `make test`: that it repeats itself, and that its checks see; in `make proof`: as much as fits."""

import secrets
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from orderapp.outbox.outlook import MARGIN, SWEEP
from tests.servers.run import Servers
from tests.simulation import checks
from tests.simulation.rest import go_on
from tests.simulation.seeds import run_seed
from tests.simulation.stage import Stage, a_stage
from tests.simulation.steps import Pair, count_passages, fail, pairs, run_pairs
from tests.simulation.story import Story

# Seconds, and seeds at least, of `make proof`; seconds for the failures of single steps.
SEEDS_TIME, FEWEST_SEEDS, STEPS_TIME = 120, 200, 75


@pytest.fixture(scope="module")
def stage(servers: Servers) -> Iterator[Stage]:
    """Give the stage on a database of its own."""
    with a_stage(servers.migrated_database()) as stage:
        yield stage


def test_a_seed_tells_the_same_story_again(stage: Stage) -> None:
    """A seed that fails at night must fail in the morning; what was before it in the database changes nothing."""
    first, other, again = (run_seed(stage, seed) for seed in ("7", "8", "7"))
    assert first.journal == again.journal
    assert first.journal != other.journal
    assert first.faults == other.faults == again.faults == []
    assert "python -m tests.simulation seeds --first 7 --seeds 1" in first.told()


def test_the_story_passes_every_kind_of_boundary(stage: Stage) -> None:
    """A boundary that nobody passes is not proven by failing there."""
    passed = count_passages(stage)
    points = {name.rpartition(":")[2] for name in passed}
    assert points == {
        *("begun", "before_commit", "after_commit"),
        *("claimed", "sent", "confirmed"),
        *("before_post", "posted"),
        *("returned", "before_ack"),
    }
    acts = {name.partition(":")[0] for name in passed}
    assert {"orders.placing", "orders.processing", "orders.cancelling", "orders.retrying", "orders.rescuing"} <= acts
    assert {"webhooks.sending", "webhooks.rescuing", "reports.summarising", "outbox.relaying"} <= acts


@pytest.mark.parametrize("action", ["raise", "reset", "hang", "kill", "SIGKILL"])
def test_one_failure_of_each_kind_is_healed(stage: Stage, action: str) -> None:
    """Somewhere in the middle, where the first order is settled."""
    assert fail(stage, Pair(23, action, always=False)) == []


NEVER_TAKEN = """
INSERT INTO webhook_deliveries (order_id, event_id, endpoint_id, state, resend_of, finished_at)
SELECT order_id, (SELECT id FROM order_events WHERE type = 'order.placed' LIMIT 1), 1, 'succeeded', id, now()
FROM webhook_deliveries LIMIT 1
"""

LEASE_IGNORED = """
UPDATE webhook_deliveries SET lease_until = simulated.clock_timestamp() + interval '1 s' WHERE id = 1;
UPDATE webhook_deliveries SET attempt = attempt + 1, lease_until = NULL WHERE id = 1
"""

PARKED = "INSERT INTO outbox (queue, task, parked_at, error) VALUES ('orders', 'a task', now(), 'a reason')"

PLANTED = {
    "stock is not the ledger": ("UPDATE products SET stock = stock - 1 WHERE id = 1", "audit: stock_not_ledger"),
    "an order vanished": ("UPDATE orders SET reference = 'nobody' WHERE id = 1", "nobody asked for"),
    "a webhook was never taken": (NEVER_TAKEN, "never took it"),
    "a row is parked": (PARKED, "parked: a task"),
    "a day is wrong": ("UPDATE daily_sales SET revenue = revenue + 1", "the summary of"),
    "a lease was ignored": (LEASE_IGNORED, "a delivery was claimed while another run held its lease"),
}


@pytest.mark.parametrize(("statement", "sentence"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_found(stage: Stage, statement: str, sentence: str) -> None:
    """A checker that says nothing proves nothing."""
    story = Story(stage)
    for turn in story.turns:
        turn()
    assert checks.faults(stage, story.outside, story.people) == []
    stage.rows(statement)
    assert any(sentence in fault for fault in checks.faults(stage, story.outside, story.people))


def test_a_row_that_leaves_without_its_confirm_is_seen(stage: Stage) -> None:
    """The rescuers would heal it, and nobody would know."""
    story = Story(stage)
    story.people.ask({1: 1}, key=False)
    (row_id,) = stage.rows("DELETE FROM outbox RETURNING id")[0]
    story.outside.published.add(row_id)
    go_on(stage, story.service)
    assert story.outside.faults == ["a row left the outbox although its message was not confirmed"]


def test_a_row_that_commits_late_leaves_when_its_time_has_come_here(stage: Stage) -> None:
    """The relay swept by the machine's clock, so no sweep came while hours passed here (seed 483113559)."""
    story = Story(stage)
    story.people.ask({1: 1}, key=False)
    assert story.service.relay() == "1 row(s)"
    story.people.ask({1: 1}, key=False)
    stage.rows("UPDATE outbox SET available_at = available_at - %s * interval '1 s'", 2 * MARGIN)
    assert story.service.relay() == "0 row(s)"
    stage.clock.advance(SWEEP)
    assert story.service.relay() == "1 row(s)"


@pytest.mark.proof
def test_as_many_seeds_as_fit_into_two_minutes(stage: Stage, record_property: Callable[[str, object], None]) -> None:
    """Other ones each time; ``python -m tests.simulation seeds`` goes on for longer."""
    first, began, count = secrets.randbelow(10**9), time.monotonic(), 0
    while count < FEWEST_SEEDS or time.monotonic() - began < SEEDS_TIME:
        run = run_seed(stage, str(first + count))
        assert not run.faults, run.told()
        count += 1
    record_property(f"seeds from {first}, all clean", count)


@pytest.mark.proof
def test_each_step_fails_in_every_way(stage: Stage, record_property: Callable[[str, object], None]) -> None:
    """As many as fit, others each time; ``python -m tests.simulation steps`` takes all."""
    seed = secrets.randbelow(10**9)
    chosen = list(pairs(len(count_passages(stage)), real=True))
    Random(seed).shuffle(chosen)
    said: list[str] = []
    clean = run_pairs(stage, chosen, STEPS_TIME, said.append)
    assert clean, "\n".join(said)
    record_property(f"of {len(chosen)} pairs in the order of seed {seed}, all converged", clean)
