"""The loop of a long-running service and the signal that ends it."""

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from orderapp.loop import StopSignal, run
from tests.servers.waiting import wait_until


@pytest.fixture
def stop() -> Iterator[StopSignal]:
    """Return an installed stop signal; the process's own handlers come back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    one = StopSignal()
    one.install()
    yield one
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait(stop: StopSignal, number: signal.Signals) -> None:
    """The loop ends at once, not at the end of its pause."""
    waiter = threading.Timer(0, os.kill, (os.getpid(), number))
    waiter.start()
    assert stop.wait(30)
    assert stop.is_set()
    waiter.join()


def test_a_signal_in_the_middle_of_a_wait_cannot_block_the_process(stop: StopSignal, monkeypatch: pytest.MonkeyPatch) -> None:
    """With threading.Event, a signal between the lock and the sleep of wait() hung the relay for ever."""
    real = select.select

    def interrupted(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)  # type: ignore[call-overload]

    monkeypatch.setattr("orderapp.loop.select.select", interrupted)
    assert stop.wait(30)


def test_a_second_signal_changes_nothing(stop: StopSignal) -> None:
    """Operators press Ctrl-C more than once."""
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGINT)
    wait_until(stop.is_set, 5, "the signal")
    assert stop.wait(0)
    assert stop.wait(0)


def test_the_loop_repeats_until_it_is_asked_to_end() -> None:
    """A pause of 0 means at once; the step in hand is finished."""
    stop = StopSignal()
    pauses = [0.0, 0.001, 0.0]
    taken = []

    def step() -> float:
        taken.append(pauses[len(taken)])
        if len(taken) == len(pauses):
            stop.set()
        return taken[-1]

    run(step, stop)
    assert taken == pauses
