"""Which fault happens when: a function of the seed."""

import random
from dataclasses import dataclass

# All kinds of fault. Those of KILLS end a process by SIGKILL, those of LINKS happen between one process and one server.
KILLS = (
    "kill web",
    "kill a child of web",
    "kill relay",
    "kill the parent of worker",
    "kill a child of worker",
    "kill the parent of webhook worker",
    "kill a child of webhook worker",
    "kill beat",
    "kill RabbitMQ",
    "kill a backend of PostgreSQL",
)
LOSSES = ("purge a queue", "delete a queue", "restart PostgreSQL")
LINKS = ("black hole", "half-open", "reset", "latency", "slices")
ALARMS = ("memory alarm", "disk alarm")
KINDS = KILLS + LOSSES + LINKS + ALARMS

# Seconds from the start of the load to the first fault: there is something to lose by then.
QUIET = 1

# Seconds that a fault between two, or an alarm, lasts: from below to above the 3 s of connecting and of a window, and the
# 5 s that a message waits for its second attempt.
SHORTEST, LONGEST = 1, 8

# Above any number of queues, children and backends; what it is taken modulo of is known only at the time.
PICKS = 1_000_000


@dataclass(frozen=True)
class Fault:
    """One fault: seconds after the start, its kind, a number that picks the victim among several, and how long it lasts."""

    at: float
    kind: str
    pick: int
    lasts: float


def schedule(seconds: float, every: float, seed: int) -> list[Fault]:
    """Return the faults of a run, one about every so many seconds; all kinds come once before one comes again."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    kinds: list[str] = []
    at = float(QUIET)
    while at < seconds:
        if not kinds:
            kinds = chance.sample(KINDS, len(KINDS))
        faults.append(Fault(at, kinds.pop(), chance.randrange(PICKS), chance.uniform(SHORTEST, LONGEST)))
        at += every * chance.uniform(0.5, 1.5)
    return faults
