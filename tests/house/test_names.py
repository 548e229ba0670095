"""Rule 10 of the house, and docstrings."""

from pathlib import Path

import pytest

from .names import docstring_breaches, name_breaches
from .tree import assert_found, assert_none, plant, the_house

CLEAN = {
    "orderapp/__init__.py": '"""The roof."""\n',
    "orderapp/orders/__init__.py": '"""Orders."""\n',
    "orderapp/orders/placing.py": '"""Placing."""\n\ndef place():\n    """Place."""\n\nclass _Cart: ...\n',
    "orderapp/manage.py": '"""Not a manager."""\n',
    "tests/test_placing.py": "def test_something(): ...\n",
    "wsgi.py": "",
}

NAMES = [
    "orderapp/utils.py",
    "orderapp/orders/helpers.py",
    "orderapp/common/__init__.py",
    "orderapp/services/placing.py",
    "orderapp/orders/manager.py",
    "orderapp/orders/order_managers.py",
    "orderapp/orders/utils_for_dates.py",
    "tests/helpers.py",
    "migrations/common.py",
]

DOCSTRINGS = {
    "a module": ("orderapp/clock.py", "import time\n"),
    "a room's front page": ("orderapp/orders/__init__.py", ""),
    "a room without a front page": ("orderapp/products/__init__.py", None),
    "a public function": ("orderapp/clock.py", '"""Clock."""\n\ndef now(): ...\n'),
    "a public coroutine": ("orderapp/clock.py", '"""Clock."""\n\nasync def now(): ...\n'),
    "a public class": ("orderapp/clock.py", '"""Clock."""\n\nclass Clock: ...\n'),
}


def test_no_module_is_named_after_nothing() -> None:
    """No utils, helpers, common, services or manager, alone or as part of a name."""
    assert_none(name_breaches(the_house()))


def test_every_room_module_and_public_name_says_what_it_is_for() -> None:
    """Docstrings stand on all of orderapp's modules and on its public functions and classes."""
    assert_none(docstring_breaches(the_house()))


def test_good_names_and_docstrings_are_no_breach(tmp_path: Path) -> None:
    """A tidy tree is left in peace: private names and tests need no docstring."""
    tree = plant(tmp_path, CLEAN)
    assert_none([*name_breaches(tree), *docstring_breaches(tree)])


@pytest.mark.parametrize("path", NAMES)
def test_an_empty_name_is_found(tmp_path: Path, path: str) -> None:
    """Each such word is seen, in orderapp, tests and migrations."""
    assert_found(name_breaches(plant(tmp_path, {**CLEAN, path: ""})), path)


@pytest.mark.parametrize(("path", "text"), DOCSTRINGS.values(), ids=DOCSTRINGS)
def test_a_missing_docstring_is_found(tmp_path: Path, path: str, text: str | None) -> None:
    """Each kind of mute module, function or class is seen."""
    planted = {path: text} if text is not None else {"orderapp/products/stock.py": '"""Stock."""\n'}
    assert_found(docstring_breaches(plant(tmp_path, {**CLEAN, **planted})), path)
