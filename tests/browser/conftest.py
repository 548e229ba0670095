"""A browser for the tests of this folder; without one they are skipped loudly, with CI=true they fail."""

import os
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import ARGUMENTS, REMEDY, chromium
from tests.browser.operators import Operator

SKIPPED = "skipped for want of Chromium"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly what was not tested, and the one line that tests it."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if SKIPPED in str(report.longrepr)]
    if skipped:
        terminalreporter.write_sep("!", f"{len(skipped)} tests {SKIPPED}", red=True, bold=True)
        terminalreporter.write_line(f"  run them with:  {REMEDY}", red=True, bold=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Give a headless browser."""
    path, fault = chromium()
    if fault and os.environ.get("CI") == "true":
        pytest.fail(f"{fault}. To run it: {REMEDY}", pytrace=False)
    if fault:
        pytest.skip(f"{SKIPPED}: {fault}")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def sit_down(browser: Browser) -> Iterator[Callable[..., Operator]]:
    """Return a maker of operators: ``sit_down(url, 390, "dark")`` has a window that wide and is not logged in.

    At the end, whatever a page asked of a stranger, and whatever the console said, fails the test.
    """
    people = []

    def make(url: str, width: int = 1280, scheme: Literal["light", "dark"] = "light") -> Operator:
        people.append(Operator(browser, url, width, scheme))
        return people[-1]

    yield make
    seen = [fault for person in people for fault in person.leave()]
    assert seen == []
