"""The dashboard in a browser: it fits and reads in light and dark, keeps itself fresh, and says when it cannot."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from orderapp.accounts.registering import create_superuser
from orderapp.admin.dashboard import EVERY
from tests.admin.examples import fill
from tests.browser.operators import Operator
from tests.orders.examples import placed
from tests.servers.processes import Processes

NAME, PASSWORD = "alice", "correct horse battery"

SitDown = Callable[..., Operator]

pytestmark = pytest.mark.usefixtures("app", "receiver")

# How bright what a reader has to tell apart is, from 0 to 1, as WCAG 2 computes it.
BRIGHTNESS = """element => {
    const [r, g, b] = getComputedStyle(element)[NAME].match(/[\\d.]+/g).slice(0, 3).map((part) => {
        const share = part / 255;
        return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""


def brightness(page: Page, selector: str, name: str) -> float:
    """Return the brightness of a style of the first such element."""
    return float(page.locator(selector).first.evaluate(BRIGHTNESS.replace("NAME", f"'{name}'")))


def contrast(page: Page, selector: str, name: str = "color") -> float:
    """Return the contrast of an element's colour with the page's ground."""
    low, high = sorted([brightness(page, selector, name), brightness(page, "body", "backgroundColor")])
    return (high + 0.05) / (low + 0.05)


def at_the_dashboard(processes: Processes, sit_down: SitDown, width: int = 1280, scheme: str = "light") -> Operator:
    """Return an operator who sees the figures."""
    create_superuser(NAME, PASSWORD, "cli:me")
    fill()
    alice = sit_down(processes.web().wait_ready().url, width, scheme)
    alice.page.clock.install()
    alice.log_in(NAME, PASSWORD)
    expect(alice.page.locator("#live-state")).to_have_text(re.compile(r"As of [\d:]{8} UTC"))
    return alice


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_figure_can_be_read(processes: Processes, sit_down: SitDown, width: int, scheme: str) -> None:
    """Nothing sideways, words at 4.5 to 1, drawings at 3 to 1; no console line, nothing from outside (``sit_down`` looks)."""
    alice = at_the_dashboard(processes, sit_down, width, scheme)
    page = alice.page
    assert alice.overflow() == 0
    assert page.locator(".tile").count() == 7
    assert (brightness(page, "body", "backgroundColor") < 0.1) == (scheme == "dark")
    for words in (".tile-title", ".tile-note", ".tile-number", ".live-state", "main a", ".legend", ".halves td"):
        assert contrast(page, words) >= 4.5, words
    for status in ("confirmed", "failed", "cancelled", "pending"):
        assert contrast(page, f".is-{status}", "fill") >= 3, status
    sizes = page.locator(".plot text").evaluate_all("all => all.map((one) => one.getBoundingClientRect().height)")
    assert min(sizes) >= 8
    alice.open("/admin/orders/details/?id=1")
    assert alice.overflow() == 0
    assert contrast(page, "td") >= 4.5


def test_it_asks_again_but_not_while_nobody_looks(processes: Processes, sit_down: SitDown) -> None:
    """A new order shows by itself; a hidden window asks nothing, and at once when it is looked at again."""
    alice = at_the_dashboard(processes, sit_down)
    page = alice.page
    tile = page.locator(".tile", has_text="Open orders").locator(".tile-number")
    expect(tile).to_have_text("1")
    page.get_by_role("link", name="the oldest for").first.focus()
    placed((1, 1))
    page.clock.run_for(EVERY * 1000)
    expect(tile).to_have_text("2")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/admin/orders/?status=pending"

    hide(page, hidden=True)
    placed((1, 1))
    before = alice.asked.count(f"{alice.url}/admin/live/")
    page.clock.run_for(EVERY * 10_000)
    assert alice.asked.count(f"{alice.url}/admin/live/") == before
    hide(page, hidden=False)
    expect(tile).to_have_text("3")


def hide(page: Page, *, hidden: bool) -> None:
    """Put another window in front of the page, or take it away."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_it_says_when_what_it_shows_is_old(processes: Processes, sit_down: SitDown) -> None:
    """A database that is away, a session that ended, an answer that does not come, a service that is gone: and it tries on."""
    alice = at_the_dashboard(processes, sit_down)
    page, state = alice.page, alice.page.locator("#live-state")

    def next_answer(words: str) -> None:
        page.clock.run_for(EVERY * 1000)
        expect(state).to_contain_text(words)

    away = "<main><p>The database cannot be reached now.</p></main>"
    page.route("**/admin/live/", lambda route: route.fulfill(status=503, body=away, content_type="text/html"), times=1)
    next_answer("The database cannot be reached now. These are the figures of")
    expect(page.locator("[data-live]")).to_have_class("stale")
    expect(page.locator(".tile")).to_have_count(7)
    next_answer("As of")
    expect(page.locator("[data-live]")).not_to_have_class("stale")

    page.route("**/admin/live/", lambda _route: None, times=1)
    page.clock.run_for(EVERY * 1000)
    page.clock.run_for(9_000)
    expect(state).to_contain_text("No answer for 8 s.")
    next_answer("As of")

    cookies = page.context.cookies()
    page.context.clear_cookies()
    next_answer("You are logged out")
    page.context.add_cookies(cookies)
    next_answer("As of")

    processes.end()
    next_answer("The service cannot be reached.")
    forgive(alice, "503", "Failed to load resource")


def forgive(alice: Operator, *expected: str) -> None:
    """Take out of the faults what the test has caused itself."""
    alice.faults[:] = [fault for fault in alice.faults if not any(words in fault for words in expected)]
