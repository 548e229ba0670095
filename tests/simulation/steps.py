"""The story again and again: the N-th passage of a boundary fails, once or from there on; then rest, and all is checked."""

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.simulation import checks
from tests.simulation.rest import come_to_rest, go_on
from tests.simulation.stage import Stage
from tests.simulation.story import Story

# By an exception that nobody expects, a lost connection, a hang beyond every deadline, the end of the process as this
# thread can have it (no handler runs), and by a real SIGKILL of a real process that is all of the service at once.
ACTIONS = ("raise", "reset", "hang", "kill", "SIGKILL")

# Seconds of a hang: past the lease of an order, then past PostgreSQL's patience and the lease of a webhook.
FIRST_PAUSE, SECOND_PAUSE = 16, 46


# Seconds between two lines of progress.
TELL = 10


@dataclass(frozen=True)
class Pair:
    """One way to fail: at which passage, how, and whether from there on."""

    number: int
    action: str
    always: bool

    def __str__(self) -> str:
        """Word it as the command takes it."""
        return f"{self.number} {self.action}{' always' if self.always else ''}"

    def strikes(self, passage: int) -> bool:
        """Tell whether this passage fails."""
        return passage == self.number or (self.always and passage > self.number)


def pairs(passages: int, *, real: bool) -> Iterator[Pair]:
    """Yield every pair; without ``real`` the ones that take no process."""
    for number in range(1, passages + 1):
        for action in ACTIONS if real else ACTIONS[:-1]:
            yield Pair(number, action, always=False)
            yield Pair(number, action, always=True)


def count_passages(stage: Stage) -> list[str]:
    """Return the boundaries that the story passes when nothing fails."""
    passed: list[str] = []
    found = _tell(stage, lambda name: passed.append(name) or "")
    if found:
        raise AssertionError("; ".join(found))
    return passed


def fail(stage: Stage, pair: Pair) -> list[str]:
    """Tell the story with one failure; returns what is wrong afterwards."""
    if pair.action == "SIGKILL":
        return _tell_in_children(stage, pair)
    passages = 0
    hanging = False

    def decide(_name: str) -> str:
        nonlocal passages
        passages += 1
        return pair.action if not hanging and pair.strikes(passages) else ""

    def hang(story: Story, end_session: Callable[[], None]) -> None:
        nonlocal hanging
        hanging = True
        for pause in (FIRST_PAUSE, SECOND_PAUSE):
            stage.clock.advance(pause)
            if pause is SECOND_PAUSE:
                end_session()
            story.service.beat()
            go_on(stage, story.service)
        hanging = False

    return _tell(stage, decide, hang)


def run_pairs(stage: Stage, chosen: Sequence[Pair], seconds: float, say: Callable[[str], None]) -> int:
    """Fail in each of these ways while there is time; returns how many were clean, 0 when one was not."""
    began = told = time.monotonic()
    clean = 0
    for pair in chosen:
        found = fail(stage, pair)
        if found:
            say("\n".join([f"{pair}:", *found, f"again: python -m tests.simulation steps {pair}"]))
            return 0
        clean += 1
        now = time.monotonic()
        if now - told > TELL:
            told = now
            say(f"{clean} of {len(chosen)} pairs in {now - began:.0f} s, all clean")
        if now - began > seconds:
            break
    say(f"{clean} of {len(chosen)} pairs, all converged")
    return clean


def _tell(
    stage: Stage, decide: Callable[[str], str], hang: Callable[[Story, Callable[[], None]], None] = lambda *_: None
) -> list[str]:
    story = Story(stage)
    stage.boundaries.decide, stage.boundaries.hang = decide, partial(hang, story)
    for turn in story.turns:
        turn()
    return _end(stage, story)


def _end(stage: Stage, story: Story) -> list[str]:
    stage.boundaries.forget()
    story.outside.injected = checks.FEWEST
    stuck = [] if come_to_rest(stage, story.service, story.people) else ["something is stuck: not everything is final"]
    return stuck + checks.faults(stage, story.outside, story.people)


def _tell_in_children(stage: Stage, pair: Pair) -> list[str]:
    """Tell the story in a process that is killed; what comes after it is told by the next one."""
    story = Story(stage)
    first, number = 0, pair.number
    while first < len(story.turns):
        first = _tell_in_child(stage, story, first, number)
        # From there on means: each further process comes no farther than its first boundary.
        number = 1 if pair.always else 10**9
    return _end(stage, story)


def _tell_in_child(stage: Stage, story: Story, first: int, number: int) -> int:
    """Tell from this turn on until the process is killed; returns the turn after."""
    left = Path(stage.folder) / "left-behind"
    stage.disconnect()
    child = os.fork()
    if not child:
        try:
            stage.connect()
            _tell_and_die(stage, story, first, number, left)
        except BaseException:  # noqa: BLE001 - whoever reads the terminal sees it; the parent's copies of its handlers must not run
            traceback.print_exc()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    stage.connect()
    stage.end_strangers()
    if status not in {0, signal.SIGKILL}:
        raise AssertionError(f"the process ended by itself: {status}")
    turn, now, outside = pickle.loads(left.read_bytes())
    vars(story.outside).update(vars(outside))
    stage.clock.now = now
    story.stay()
    return int(turn) + 1


def _tell_and_die(stage: Stage, story: Story, first: int, number: int, left: Path) -> None:
    passages, turn = 0, first

    def decide(_name: str) -> str:
        nonlocal passages
        passages += 1
        return "kill" if passages == number else ""

    def leave() -> None:
        story.outside.faults += checks.surprises(stage)
        left.write_bytes(pickle.dumps((turn, stage.clock.now, story.outside)))

    def die(_name: str) -> None:
        leave()
        os.kill(os.getpid(), signal.SIGKILL)

    stage.boundaries.decide, stage.boundaries.kill = decide, die
    turns = story.turns
    for turn in range(first, len(turns)):
        turns[turn]()
    leave()
    os._exit(0)
