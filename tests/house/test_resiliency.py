"""Rule 8 of the house: docs/resiliency.md names a test for each way of failing, or says why there is none."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from .tree import REPOSITORY, assert_found, assert_none, plant

PAGE = "docs/resiliency.md"

SERVERS = ("PostgreSQL", "RabbitMQ", "receiver", "disk", "clock")
FAULTS = ("slow", "down", "black hole", "reset", "full", "jump")
PARTS = ("POST", "GET", "panel", "relay", "worker", "beat")


def breaches(root: Path) -> list[str]:
    """Return every combination that is missing or there twice, and every row without a reason or a test that exists."""
    found: list[str] = []
    seen: dict[tuple[str, str, str], int] = {}
    for line, server, (faults, who, what, tests) in _rows((root / PAGE).read_text(encoding="utf-8")):
        for combination in product([server], faults.split(", "), who.split(", ")):
            if combination in seen:
                found.append(f"{PAGE}:{line}: {' / '.join(combination)} is in line {seen[combination]} already")
            seen[combination] = line
        if what.startswith("n/a: ") != (not tests):
            found.append(f"{PAGE}:{line}: name a test that shows it, or begin with n/a and say why there is none")
        found += [f"{PAGE}:{line}: there is no test {one}" for one in re.findall("`([^`]+)`", tests) if not _exists(root, one)]
    expected = set(product(SERVERS, FAULTS, PARTS))
    found += [f"{PAGE}:1: says nothing of {' / '.join(one)}" for one in sorted(expected - seen.keys())]
    return found + [f"{PAGE}:{seen[one]}: nobody knows {' / '.join(one)}" for one in sorted(seen.keys() - expected)]


def _rows(page: str) -> Iterator[tuple[int, str, list[str]]]:
    server = ""
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("## "):
            server = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith(("| fault ", "| --- ")):
            yield number, server, [cell.strip() for cell in line.strip("|").split("|")]


def _exists(root: Path, test: str) -> bool:
    path, _, name = test.partition("::")
    file = root / path
    return file.is_file() and bool(re.search(rf"^def {name or 'test_'}", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_way_of_failing_has_a_test_or_a_reason() -> None:
    """180 combinations, each in one row; the tests that are named exist."""
    assert_none(breaches(REPOSITORY))


ALL = ", ".join(PARTS)
FINE = "".join(
    f"## {server}\n\n| fault | who | what | shown by |\n| --- | --- | --- | --- |\n"
    f"| slow, down | {ALL} | well | `tests/test_x.py::test_it` |\n| black hole, reset, full, jump | {ALL} | n/a: no | |\n"
    for server in SERVERS
)

PLANTED = {
    "a test that is gone": FINE.replace("test_it", "test_that", 1),
    "a file that is gone": FINE.replace("test_x.py", "test_y.py", 1),
    "no test and no reason": FINE.replace("n/a: no", "no", 1),
    "a test and a reason": FINE.replace("well", "n/a: well", 1),
    "a combination that is missing": FINE.replace("POST, ", "", 1),
    "a combination twice": FINE.replace("slow, down", "slow, down, reset", 1),
    "a word that nobody knows": FINE.replace("reset", "rest", 1),
}


def test_a_page_that_says_all_is_no_breach(tmp_path: Path) -> None:
    """Rows may hold several combinations."""
    plant(tmp_path, {PAGE: FINE, "tests/test_x.py": "def test_it(): ...\n"})
    assert_none(breaches(tmp_path))


@pytest.mark.parametrize("page", PLANTED.values(), ids=PLANTED)
def test_a_page_that_lags_behind_is_found(tmp_path: Path, page: str) -> None:
    """Each difference is seen."""
    plant(tmp_path, {PAGE: page, "tests/test_x.py": "def test_it(): ...\n"})
    assert_found(breaches(tmp_path), PAGE)
