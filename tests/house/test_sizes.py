"""Rule 6 of the house: sizes."""

from pathlib import Path

import pytest

from .sizes import breaches
from .tree import assert_found, assert_none, plant, the_house


def lines(count: int) -> str:
    """Return a module of that many lines."""
    return "name = 1\n" * count


def function(count: int, start: str = "def f():") -> str:
    """Return a function of that many lines."""
    return f"{start}\n" + "    name = 1\n" * (count - 1)


CLEAN = {
    "README.md": "line\n" * 150,
    "tests/conftest.py": lines(150),
    "tests/test_long.py": lines(300),
    "orderapp/__init__.py": "",
    "orderapp/large.py": lines(300),
    "orderapp/typical.py": lines(80),
    "orderapp/small.py": "@decorated\n" + function(40),
    "migrations/versions/0001_orders.py": function(301),
}

PLANTED = {
    "a module of 301 lines": ("orderapp/large.py", lines(301)),
    "a test module of 301 lines": ("tests/test_long.py", lines(301)),
    "a migration environment of 301 lines": ("migrations/env.py", lines(301)),
    "an entry of 301 lines": ("wsgi.py", lines(301)),
    "a function of 41 lines": ("orderapp/small.py", function(41)),
    "a coroutine of 41 lines": ("orderapp/small.py", function(41, "async def f():")),
    "a test of 41 lines": ("tests/test_f.py", function(41)),
    "a conftest of 151 lines": ("tests/conftest.py", lines(151)),
    "a deeper conftest of 151 lines": ("tests/orders/conftest.py", lines(151)),
    "a typical module of 81 lines": ("orderapp/typical.py", lines(81)),
    "a README of 151 lines": ("README.md", "line\n" * 151),
}


def test_modules_functions_readme_and_conftest_stay_small() -> None:
    """The limits hold in orderapp, tests and migrations; the median is orderapp's."""
    assert_none(breaches(the_house()))


def test_sizes_at_their_limits_are_no_breach(tmp_path: Path) -> None:
    """Exactly the limit is still fine, and an applied migration may be long."""
    assert_none(breaches(plant(tmp_path, CLEAN)))


@pytest.mark.parametrize(("path", "text"), PLANTED.values(), ids=PLANTED)
def test_one_line_too_many_is_found(tmp_path: Path, path: str, text: str) -> None:
    """Each limit is held to the line."""
    found = breaches(plant(tmp_path, {**CLEAN, path: text}))
    assert_found(found, "orderapp" if path == "orderapp/typical.py" else path)


def test_a_missing_readme_is_found(tmp_path: Path) -> None:
    """A tree without a README is told so."""
    assert_found(breaches(plant(tmp_path, {"orderapp/small.py": lines(1)})), "README.md")
