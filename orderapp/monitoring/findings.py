"""What an audit found, in the shape that doors print."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from orderapp.monitoring.facts import Breach
from orderapp.monitoring.invariants import INVARIANTS

# Ids shown of one kind: enough to see a pattern, and a broken million does not fill the terminal.
MOST_IDS = 20


@dataclass(frozen=True)
class Violation:
    """One kind of violation: how many subjects break it, and the first of them."""

    name: str
    subject: str
    count: int
    ids: tuple[int, ...]
    sentence: str


@dataclass(frozen=True)
class Notice:
    """Something that is consistent and still wants an operator."""

    name: str
    count: int
    ids: tuple[int, ...]
    sentence: str


@dataclass(frozen=True)
class Report:
    """One audit of one snapshot; ``since`` is the last clean run whose work it relied on, None when it checked everything."""

    checked_at: datetime
    since: datetime | None
    orders: int
    seconds: float
    webhooks_since: datetime | None
    violations: tuple[Violation, ...]
    notices: tuple[Notice, ...]

    @property
    def consistent(self) -> bool:
        """Tell whether nothing is violated."""
        return not self.violations


@dataclass
class Findings:
    """Counts breaches by kind and keeps the first ids of each."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ids: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(self, breaches: Iterable[Breach]) -> None:
        """Take note of breaches."""
        for name, subject_id in breaches:
            self.counts[name] += 1
            if len(self.ids[name]) < MOST_IDS:
                self.ids[name].append(subject_id)

    def violations(self) -> tuple[Violation, ...]:
        """Return what was found, in the order of the invariants."""
        found = [one for one in INVARIANTS.values() if one.name in self.counts]
        return tuple(
            Violation(one.name, one.subject, self.counts[one.name], tuple(self.ids[one.name]), one.sentence) for one in found
        )
