"""The mutants follow the code: one that does not apply any more would be a guard that nobody proves."""

from pathlib import Path

import pytest

import config
from tests.mutations.mutants import MUTANTS, Mutant, OutdatedMutantError


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_every_mutant_still_finds_its_guard(mutant: Mutant, tmp_path: Path) -> None:
    """Exactly once, and what is left is still Python."""
    copy = tmp_path / mutant.path
    copy.parent.mkdir(parents=True)
    copy.write_text((config.ROOT / mutant.path).read_text())
    mutant.apply(tmp_path)
    compile(copy.read_text(), mutant.path, "exec")
    assert all((config.ROOT / path).exists() for path in mutant.named.split())


def test_a_mutant_whose_guard_has_moved_says_so(tmp_path: Path) -> None:
    """Loudly: a run of the tree as it is would look as if nobody had noticed the missing guard."""
    (tmp_path / "a.py").write_text("guard\nguard\n")
    for old in ("guard", "moved"):
        with pytest.raises(OutdatedMutantError):
            Mutant("a guard", "a.py", old, "", "").apply(tmp_path)
