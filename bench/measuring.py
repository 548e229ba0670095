"""Runs a case: its contestants one after the other, round after round, so that all see the same machine."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bench.stage import Stage
from bench.targets import TARGETS, Target

# What one contestant measured: a number, or several under names of their own.
Measured = float | Mapping[str, float]
Contestants = Mapping[str, Callable[[float], Measured]]


class MissingError(Exception):
    """A contestant cannot run here; the message says what would help."""


# Seconds that a case may take, its servers included: no round is begun that would probably end later.
LIMIT, LARGE_LIMIT = 115, 3000


@dataclass(frozen=True)
class Case:
    """One comparison: ``prepare`` starts everything and returns what measures each contestant for some seconds."""

    name: str
    what: str
    unit: str
    prepare: Callable[[Stage, "Outcome"], Contestants]
    most_rounds: int = 100
    large: bool = False


@dataclass
class Outcome:
    """What a case gave: samples by name in the order of the rounds, and what was left out."""

    case: str
    what: str
    unit: str
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, text: str) -> None:
        """Add a line that belongs beside the figures, and say it at once."""
        self.notes.append(text)
        print(f"  ! {text}", flush=True)

    def ratios(self) -> list[tuple[Target, float, float, float]]:
        """Return each target with its median, least and greatest value; ratios are formed within a round."""
        found = []
        for target in TARGETS:
            values = self._values(target) if target.case == self.case else []
            if values:
                found.append((target, statistics.median(values), min(values), max(values)))
        return found

    def _values(self, target: Target) -> list[float]:
        subject = self.samples.get(target.subject, [])
        if target.against is None:
            return subject
        against = self.samples.get(target.against, [])
        return [one / other for one, other in zip(subject, against, strict=False) if other]


def run_case(case: Case, outcome: Outcome, stage: Stage, rounds: int, seconds: float) -> None:
    """Fill the outcome; a contestant that fails is named and left out from there on, the others go on."""
    began = time.monotonic()
    limit = LARGE_LIMIT if case.large else LIMIT
    try:
        contestants = dict(case.prepare(stage, outcome))
        for number in range(1, min(rounds, case.most_rounds) + 1):
            if number > 1 and (time.monotonic() - began) * number / (number - 1) > limit:
                outcome.note(f"only {number - 1} of {rounds} rounds fit into {limit} s")
                break
            _run_round(contestants, outcome, seconds)
    except Exception as error:  # noqa: BLE001 - noted beside the figures; the other cases go on
        outcome.note(f"NOT MEASURED: {type(error).__name__}: {error}")
    finally:
        outcome.seconds = time.monotonic() - began
        stage.clear()


def _run_round(contestants: dict[str, Callable[[float], Measured]], outcome: Outcome, seconds: float) -> None:
    for name in list(contestants):
        try:
            _keep(outcome, name, contestants[name](seconds))
        except Exception as error:  # noqa: BLE001 - the reader of the table sees it, beside the figures of the others
            outcome.note(f"{name} left out: {type(error).__name__}: {error}")
            del contestants[name]


def _keep(outcome: Outcome, name: str, measured: Measured) -> None:
    for key, value in ({name: measured} if isinstance(measured, int | float) else measured).items():
        outcome.samples[key].append(float(value))
        print(f"  . {outcome.case} {key} {value:,.1f}", flush=True)


def offer(outcome: Outcome, contestants: Iterable[tuple[str, Callable[[], Callable[[float], Measured]]]]) -> Contestants:
    """Start the contestants in turn; one that does not start is skipped loudly."""
    started = {}
    for name, start in contestants:
        try:
            started[name] = start()
        except Exception as error:  # noqa: BLE001 - a peer that is not installed must not take the comparison down
            outcome.note(f"{name} SKIPPED: {type(error).__name__}: {error}")
    return started
