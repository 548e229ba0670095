"""A broker that confirms late, wrongly, twice, in part or not at all: no row leaves the outbox without its own ack."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from orderapp.outbox import relaying
from orderapp.queues import WEBHOOKS_DELIVER
from tests.outbox.conftest import ARelay, Logged
from tests.outbox.consumer import taken_ids
from tests.outbox.rows import left, parked, put_many
from tests.outbox.scripted_peer import Answer, ScriptedPeer, Talk
from tests.servers.environment import NOBODY
from tests.servers.waiting import wait_until
from tests.sql import sql

# Rows, each a message of its own, with subjects 1 to 10 and so tags 1 to 10.
ROWS = 10

APeer = Callable[[Answer], ScriptedPeer]


@pytest.fixture
def a_peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[APeer]:
    """Return a maker of peers. The window is short here: several of these never answer."""
    monkeypatch.setattr(relaying, "WINDOW_TIME", 0.2)
    made: list[ScriptedPeer] = []

    def make(answer: Answer) -> ScriptedPeer:
        made.append(ScriptedPeer(answer))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


def waiting() -> set[int]:
    """Return the subjects that are still in the outbox."""
    return {row.subject_id for row in sql("SELECT subject_id FROM outbox")}


def at_the_end(act: Callable[[Talk], None]) -> Answer:
    """Return a script that keeps silent until the last publish."""
    return lambda talk, tag: act(talk) if tag == ROWS else None


def some_acks_then(act: Callable[[Talk], None]) -> Answer:
    """Return a script that confirms 1 to 5, one by one, and then acts."""

    def answer(talk: Talk) -> None:
        for tag in range(1, 6):
            talk.ack(tag)
        act(talk)

    return at_the_end(answer)


def acks(*tags: int, multiple: bool = False) -> Answer:
    """Return a script that confirms these tags after the last publish, in this order."""

    def answer(talk: Talk) -> None:
        for tag in tags:
            talk.ack(tag, multiple)

    return at_the_end(answer)


def nacks_three(talk: Talk) -> None:
    """Refuse one, take the rest."""
    for tag in range(1, ROWS + 1):
        (talk.nack if tag == 3 else talk.ack)(tag)


def nothing(_talk: Talk) -> None:
    """Be silent."""


ALL, LAST_FIVE = set(range(1, ROWS + 1)), set(range(6, ROWS + 1))

SCRIPTS: dict[str, tuple[Answer, set[int]]] = {
    "each in turn": (lambda talk, tag: talk.ack(tag), set()),
    "backwards": (acks(*range(ROWS, 0, -1)), set()),
    "one for all": (acks(ROWS, multiple=True), set()),
    "one for half": (acks(5, multiple=True), LAST_FIVE),
    "the same half twice": (acks(5, 5, multiple=True), LAST_FIVE),
    "one of them ten times": (acks(*[4] * 10), ALL - {4}),
    "a tag never sent": (acks(ROWS + 1), ALL),
    "up to a tag never sent": (acks(1_000_000, multiple=True), ALL),
    "tag 0, which means all": (acks(0, multiple=True), ALL),
    "half, then a tag never sent": (some_acks_then(lambda talk: talk.ack(99)), LAST_FIVE),
    "silence": (at_the_end(nothing), ALL),
    "half, then silence": (some_acks_then(nothing), LAST_FIVE),
    "half, then blocked": (some_acks_then(Talk.block), LAST_FIVE),
    "half, then a farewell": (some_acks_then(Talk.hang_up), LAST_FIVE),
    "half, then a reset": (some_acks_then(Talk.reset), LAST_FIVE),
    "one refused": (at_the_end(nacks_three), {3}),
    "all refused at once": (at_the_end(lambda talk: talk.nack(ROWS, multiple=True)), ALL),
}


@pytest.mark.parametrize(("answer", "kept"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_row_leaves_with_its_own_ack_and_never_without(
    a_peer: APeer, a_relay: ARelay, answer: Answer, kept: set[int]
) -> None:
    """What the peer confirmed is gone, whatever came after; all else is there, unparked, for the next window."""
    put_many(ALL, task=WEBHOOKS_DELIVER)
    peer = a_peer(answer)
    relay = a_relay(peer.url)
    assert relay.relay_once() == ROWS - len(waiting())
    assert peer.talks[0].published == list(range(1, ROWS + 1))
    # A reset throws away on its way what was confirmed just before it: keeping more is safe, losing is not.
    assert waiting() >= kept
    assert waiting() == kept or answer is SCRIPTS["half, then a reset"][0]
    assert parked() == []


def test_a_late_ack_confirms_nothing_of_the_next_window(a_peer: APeer, a_relay: ARelay, logged: Logged) -> None:
    """Tag 1 of a connection that was given up is not tag 1 of the next one."""

    def answer(talk: Talk, _tag: int) -> None:
        if talk is not peer.talks[0]:
            with suppress(OSError):  # the system has noticed that nobody listens there
                for late in range(1, ROWS + 1):
                    peer.talks[0].ack(late)

    peer = a_peer(answer)
    relay = a_relay(peer.url)
    put_many(range(1, ROWS + 1), task=WEBHOOKS_DELIVER)
    assert relay.relay_once() == 0
    relay._connection._until = 0.0  # its wait is over
    assert relay.relay_once() == 0
    assert len(peer.talks) == 2
    assert waiting() == ALL
    assert [line["event"] for line in logged()] == ["broker unreachable, messages wait in the outbox"]


def test_a_returned_message_stays_although_it_is_acked(a_peer: APeer, a_relay: ARelay) -> None:
    """It came back after a declaration, too: it is parked with the broker's words, its neighbours leave."""

    def answer(talk: Talk, tag: int) -> None:
        if talk.published[tag - 1] == 3:
            talk.give_back(tag)
        talk.ack(tag)

    peer = a_peer(answer)
    put_many(range(1, ROWS + 1), task=WEBHOOKS_DELIVER)
    a_relay(peer.url).relay_once()
    assert left() == 1
    ((subject, reason),) = parked()
    assert subject == 3
    assert "NO_ROUTE" in reason


@pytest.mark.parametrize("seed", range(4))
def test_whatever_it_says_only_what_was_acked_leaves(a_peer: APeer, a_relay: ARelay, seed: int) -> None:
    """Twenty windows of random acks, nacks, multiples, repetitions, silences and lost connections."""
    dice = random.Random(seed)
    confirmed: set[int] = set()

    def answer(talk: Talk, tag: int) -> None:
        lie = dice.randrange(12)
        aim = dice.randint(1, tag)
        if lie < 5:
            confirmed.add(talk.published[tag - 1])
            talk.ack(tag)
        elif lie < 7:
            confirmed.update(talk.published[:aim])
            talk.ack(aim, multiple=True)
        elif lie == 7:
            talk.nack(aim)
        elif lie == 8 and aim == 1:
            talk.hang_up()
        elif lie == 9 and aim == 1:
            talk.reset()

    peer = a_peer(answer)
    put_many(range(1, 6 * ROWS), task=WEBHOOKS_DELIVER)
    everything = waiting()
    relay = a_relay(peer.url)
    for _ in range(20):
        relay._connection._until = relay._queues["webhooks"]._until = 0.0  # no waiting here
        relay.relay_once()
        assert everything - waiting() <= confirmed
    assert parked() == []


def test_a_node_that_never_confirms_is_left_for_the_next_one(a_relay: ARelay, a_peer: APeer, broker: str) -> None:
    """A node cut off from its cluster still takes connections; a relay that went back to it would never get through."""
    put_many(range(1, ROWS + 1), task=WEBHOOKS_DELIVER)
    relay = a_relay(f"{a_peer(at_the_end(nothing)).url};{NOBODY};{broker}")
    wait_until(lambda: relay.relay_once() >= 0 and left() == 0, 30, "an empty outbox")
    assert set(taken_ids(broker, "webhooks")) == set(range(1, ROWS + 1))
