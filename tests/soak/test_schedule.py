"""``tests/soak/schedule.py``: the seed is all that a schedule depends on, and nothing is left out."""

import itertools

from tests.soak.schedule import KILLS, KINDS, schedule


def test_a_seed_repeats_its_schedule() -> None:
    """To the fault, the moment and the victim."""
    assert schedule(600, 6, seed=1) == schedule(600, 6, seed=1)
    assert schedule(600, 6, seed=1) != schedule(600, 6, seed=2)


def test_every_kind_of_fault_comes_before_one_comes_again() -> None:
    """A short soak is as mixed as it can be, and a long one has kills enough."""
    faults = schedule(600, 6, seed=3)
    first = [fault.kind for fault in faults[: len(KINDS)]]
    assert set(first) == set(KINDS)
    assert sum(fault.kind in KILLS for fault in faults) >= 45
    assert all(earlier.at < later.at < 600 for earlier, later in itertools.pairwise(faults))
