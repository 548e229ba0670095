"""Which fault happens when: a function of the seed."""

import random
from dataclasses import dataclass

# All kinds of fault; those of KILLS end a process by SIGKILL.
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
LOSSES = ("purge a queue", "delete a queue")

# Seconds from the start of the load to the first fault: there is something to lose by then.
QUIET = 1

# Above any number of queues, children and backends; what it is taken modulo of is known only at the time.
PICKS = 1_000_000


@dataclass(frozen=True)
class Fault:
    """One fault: seconds after the start, its kind, and a number that picks the victim among several."""

    at: float
    kind: str
    pick: int


def schedule(seconds: float, every: float, seed: int) -> list[Fault]:
    """Return the faults of a run, one about every so many seconds; all kinds come once before one comes again."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    kinds: list[str] = []
    at = float(QUIET)
    while at < seconds:
        if not kinds:
            kinds = chance.sample(KILLS + LOSSES, len(KILLS + LOSSES))
        faults.append(Fault(at, kinds.pop(), chance.randrange(PICKS)))
        at += every * chance.uniform(0.5, 1.5)
    return faults
