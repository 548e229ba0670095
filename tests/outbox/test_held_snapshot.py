"""A report that holds a snapshot keeps deleted rows from being cleaned up; the relay does not go through them at each look."""

from types import SimpleNamespace

import pytest

from orderapp.outbox import outlook
from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay
from tests.outbox.fakes import FakePublisher
from tests.outbox.rows import put, put_many
from tests.outbox.test_statements import plans
from tests.servers.waiting import wait_until
from tests.sql import holding

# Rows that were relayed meanwhile.
GONE = 20_000


def pages(plan: dict[str, int]) -> int:
    """Return how many pages were looked at."""
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def pages_beside(gone: int, a_relay: ARelay) -> list[bool]:
    """Return whether a poll and a claim read few pages, and a look at all many, beside rows due so many seconds ago."""
    put_many(range(1, GONE + 1), task=WEBHOOKS_DELIVER, after=-gone)
    relay = a_relay(FakePublisher(), queues=["webhooks"])
    with holding("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders"):
        while relay.relay_once():
            pass
        put(1, task=WEBHOOKS_DELIVER)
        poll, claim, _delete = plans(relay)
        put(2, task=WEBHOOKS_DELIVER)
        look_at_all, *_ = plans(a_relay(FakePublisher(), queues=["webhooks"]))
    return [pages(poll) < 50, pages(claim) < 50, pages(look_at_all) > 100]


def test_polls_and_claims_pass_by_what_is_gone(a_relay: ARelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few pages each, beside hundreds for a look at all."""
    monkeypatch.setattr(outlook, "SWEEP", 3600)
    assert pages_beside(60, a_relay) == [True, True, True]


def test_a_busy_relay_passes_by_what_left_a_moment_ago(a_relay: ARelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tens of thousands of rows a second leave, and all of the last seconds would be gone through at each look."""
    monkeypatch.setattr(outlook, "SWEEP", 3600)
    # One look over the margin, and none again for ten minutes.
    monkeypatch.setattr(outlook, "MARGIN", 600)
    monkeypatch.setattr(outlook, "SHARE", 1_000_000)
    assert pages_beside(1, a_relay) == [True, True, True]


def test_a_backlog_passes_by_what_left_before_it(a_relay: ARelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows due 20 s ago are gone, those of 10 s ago are left: no vacuum was needed in between."""
    monkeypatch.setattr(outlook, "SWEEP", 3600)
    put_many(range(1, GONE + 1), task=WEBHOOKS_DELIVER, after=-20)
    relay = a_relay(FakePublisher(), queues=["webhooks"])
    with holding("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders"):
        put(1, task=WEBHOOKS_DELIVER, after=-10)
        while relay.relay_once() > 1:
            pass
        put(2, task=WEBHOOKS_DELIVER, after=-10)
        poll, claim, _delete = plans(relay)
    assert (pages(poll) < 50, pages(claim) < 50) == (True, True)


def test_what_comes_to_light_behind_the_mark_is_found_soon(a_relay: ARelay) -> None:
    """Its transaction was a long one: a minute old when it is first seen."""
    relay = a_relay(FakePublisher())
    put(1)
    assert relay.relay_once() == 1
    put(2, after=-60)
    wait_until(lambda: relay.relay_once() == 1, 10, "the row behind the mark")


def test_what_its_transaction_held_back_for_a_moment_is_found_at_once(a_relay: ARelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any two transactions one may begin first and end last; no look over the margin was due."""
    monkeypatch.setattr(outlook, "SHARE", 1_000_000)
    relay = a_relay(FakePublisher())
    put(1)
    assert [relay.relay_once() for _ in range(2)] == [1, 0]
    put(2, after=-0.1)
    assert relay.relay_once() == 1


def test_what_comes_to_light_within_the_margin_is_found_when_time_allows(
    a_relay: ARelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each look, when it takes no time."""
    monkeypatch.setattr(outlook, "SWEEP", 3600)
    monkeypatch.setattr(outlook, "SHARE", 0)
    relay = a_relay(FakePublisher())
    put(1)
    assert relay.relay_once() == 1
    put(2, after=1 - outlook.MARGIN)
    assert relay.relay_once() == 1


@pytest.mark.usefixtures("app")
def test_the_margin_costs_a_busy_relay_one_part_in_twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that took 0.05 s is not gone through again for a second; what a sweep takes is no part of it."""
    # When each look begins and ends: a sweep, one over the margin, two more.
    clock = iter([0.0, 1.0, 1.1, 1.15, 2.1, 2.1, 2.2, 2.2])
    monkeypatch.setattr(outlook, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(outlook, "RECENT", 0)
    view = outlook.Outlook()
    assert view.due_of(["webhooks"]) == []
    assert view.due_of(["webhooks"]) == []
    put(1, task=WEBHOOKS_DELIVER, after=1 - outlook.MARGIN)
    assert view.due_of(["webhooks"]) == []
    assert view.due_of(["webhooks"]) == ["webhooks"]


@pytest.mark.usefixtures("app")
def test_a_queue_that_gathers_while_all_is_looked_at_has_its_look_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a busy queue could miss every one of them, and a row in it wait for ever."""
    view = outlook.Outlook()
    monkeypatch.setattr(outlook, "SWEEP", 0)
    monkeypatch.setattr(outlook, "SHARE", 0)
    assert view.due_of(["orders", "webhooks"]) == []
    monkeypatch.setattr(outlook, "SWEEP", 3600)
    assert view.due_of(["orders"]) == []
    put(1, task=WEBHOOKS_DELIVER, after=-60)
    assert view.due_of(["webhooks"]) == ["webhooks"]


@pytest.mark.usefixtures("app")
def test_a_look_at_all_that_takes_long_is_rare_for_a_queue_that_gathered_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds, through millions of rows: not again for a minute."""
    # When each look begins and ends.
    clock = iter([0.0, 0.0, 2.5, 2.5, 2.6, 12.6, 72.0, 72.0, 73.0, 73.0])
    monkeypatch.setattr(outlook, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    view = outlook.Outlook()
    for queues in (["orders", "webhooks"], ["orders"], ["webhooks"]):
        assert view.due_of(queues) == []
    put(1, task=WEBHOOKS_DELIVER, after=-60)
    assert view.due_of(["webhooks"]) == []
    assert view.due_of(["webhooks"]) == ["webhooks"]


def test_what_could_not_be_published_is_not_passed_by(a_relay: ARelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long ago it was due."""
    monkeypatch.setattr(outlook, "SWEEP", 3600)
    put(1, after=-60)
    publisher = FakePublisher(room=0)
    relay = a_relay(publisher)
    for _ in range(3):
        assert relay.relay_once() == 0
    relay._publisher = FakePublisher()
    assert relay.relay_once() == 1
