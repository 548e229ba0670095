"""The table of `make matrix` tells what ran, and what could not."""

import pytest

from tests.matrix import trees
from tests.matrix.__main__ import Combination, counted, run
from tests.servers.debian import MissingPackageError


def test_servers_that_cannot_be_had_are_said_and_not_green(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A combination that did not run is no combination that passed."""

    def nowhere(_release: str) -> None:
        raise MissingPackageError("needs root on Debian")

    monkeypatch.setattr(trees, "programs", nowhere)
    row = run(Combination("some", {"TEST_RABBITMQ": ("trixie", "")}, ("this",)))
    assert (row.result, row.fine) == ("not run: needs root on Debian", False)
    assert "cannot be had here: needs root on Debian" in capsys.readouterr().out


@pytest.mark.parametrize(("word", "fine"), [("--version", True), ("--no-such-option", False)])
def test_a_combination_is_fine_when_its_command_is(word: str, fine: bool) -> None:
    """By the exit code: a run that was broken off has a last line, too."""
    assert run(Combination("none", {}, ("pytest", word))).fine is fine


def test_the_counts_are_those_of_pytests_last_line() -> None:
    """And what is no count is shown as it is."""
    assert counted("== 2 failed, 1504 passed, 1 error in 831.11s ==") == "2 failed, 1504 passed, 1 error"
    assert counted("verdict: clean") == "verdict: clean"
