"""docs/security.md says what is promised, and names tests that exist."""

import re

import pytest

import config
from tests.security.risks import RISKS, table


def test_the_page_holds_the_table() -> None:
    """The failure prints what to paste."""
    page = (config.ROOT / "docs/security.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"<!-- risks -->\n(.*?)\n<!-- /risks -->", page, re.DOTALL)
    assert found == table(), f"paste this:\n\n{table()}\n"


@pytest.mark.parametrize("named", [name for risk in RISKS for name in risk.tests])
def test_each_named_test_exists(named: str) -> None:
    """A test that was renamed is no proof any more."""
    file, name = named.split("::")
    assert re.search(rf"^\s*def {name}\(", (config.ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
