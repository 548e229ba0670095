"""What is said of the libraries, and that one list of pins does not contradict another."""

import re
from pathlib import Path

import pytest

import config

PINNED = sorted(config.ROOT.glob("requirements*.txt"))


def asked_for(*lists: str) -> set[str]:
    """Return the packages that these lists name themselves."""
    lines = [line for name in lists for line in (config.ROOT / name).read_text().splitlines()]
    return {re.match(r"[\w.-]+", line)[0] for line in lines if not line.startswith(("-r ", "#"))}


def pins(path: Path) -> dict[str, str]:
    """Return what a list pins, by name."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))


def test_the_page_of_dependencies_names_each_library_and_no_other() -> None:
    """With what for, how it fares and how to leave it: nobody adds one without having thought of the day it is gone."""
    page = (config.ROOT / "docs/dependencies.md").read_text()
    rows = [row.strip("| ").split(" | ") for row in page.splitlines() if re.match(r"\| [a-z0-9-]+ \|", row)]
    named = [row[0] for row in rows if row[0] not in {"---", "library"}]
    assert len(named) == len(set(named))
    assert set(named) == asked_for("requirements.in", "requirements-otel.in")
    assert all(len(row) == 4 and all(cell.strip() for cell in row) for row in rows)


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_every_package_is_pinned_with_its_hashes(path: Path) -> None:
    """A package that was replaced on its way is refused."""
    blocks = re.split(r"\n(?=[\w.-]+==)", path.read_text())[1:]
    assert blocks
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_tests_run_with_what_production_runs() -> None:
    """The image is built from the first list, or from the second for traces; tests from the third, which was made apart."""
    production, traces, tests = (pins(config.ROOT / f"requirements{kind}.txt") for kind in ("", "-otel", "-dev"))
    assert production.items() <= traces.items() <= tests.items()
