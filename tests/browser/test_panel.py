"""What an operator does in a browser, with web, relay and worker as real processes on a real broker."""

import re
from collections.abc import Callable
from datetime import UTC

import pytest
import requests
from playwright.sync_api import Page, expect

import config
from orderapp.accounts.registering import create_superuser
from orderapp.reports.days import today
from orderapp.reports.summarising import summarise_day
from tests.admin.examples import HOOK, fill, requests_for
from tests.browser.operators import PATIENCE, Operator
from tests.servers.processes import Processes
from tests.servers.receiver import Receiver
from tests.sql import one

NAME, PASSWORD = "alice", "correct horse battery"

# Forms without a page, pictures, and a part of a page.
NO_PAGES = ("action_view", "log_out", "revenue_view", "orders_view", "live_view")

SitDown = Callable[[str, int], Operator]


pytestmark = pytest.mark.usefixtures("app", "receiver")


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_quiet_fits_the_window_and_asks_nobody_outside(
    processes: Processes, sit_down: SitDown, width: int
) -> None:
    """No console line, no request to a stranger, no sideways scrolling; with filled tables."""
    create_superuser(NAME, PASSWORD, "cli:me")
    rows = fill()
    web = processes.web().wait_ready()
    alice = sit_down(web.url, width)
    alice.open("/admin/")
    assert alice.overflow() == 0
    alice.log_in(NAME, PASSWORD)
    paths = [wanted.path for endpoint, wanted in requests_for(rows).items() if not endpoint.endswith(NO_PAGES)]
    pictures = [wanted.path for wanted in requests_for(rows).values() if ".svg" in wanted.path]
    for path in [*paths, f"/admin/orders/details/?id={rows.failed}", "/admin/orders/?status=failed", "/admin/orders/?since=x"]:
        alice.open(path)
        assert alice.overflow() == 0, path
        assert alice.page.locator("nav.navbar").count() == 1, path
    assert len(paths) == 17
    alice.open("/admin/endpoints/new/")
    alice.page.get_by_label("URL").fill(HOOK)
    alice.page.get_by_role("button", name="Save").click()
    expect(alice.page.locator("#secret")).to_contain_text("whsec_")
    assert alice.overflow() == 0
    alice.open("/admin/sales/")
    assert pictures_drawn(alice.page) == 2
    for picture in pictures:  # opened by itself, it is a document under its own policy
        alice.open(picture)
    assert {url for url in alice.asked if not url.startswith((f"{web.url}/admin/", "data:"))} == set()


def test_the_menu_of_a_narrow_window_opens_and_leads_on(processes: Processes, sit_down: SitDown) -> None:
    """The one thing that needs the script."""
    create_superuser(NAME, PASSWORD, "cli:me")
    alice = sit_down(processes.web().wait_ready().url, 390)
    alice.log_in(NAME, PASSWORD)
    page = alice.page
    expect(page.get_by_role("link", name="Products")).to_be_hidden()
    page.get_by_label("Menu").click()
    page.get_by_role("link", name="Products").click()
    expect(page.get_by_role("heading", name="Products")).to_be_visible()
    page.get_by_label("Menu").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def create_and_restock(page: Page) -> None:
    """Make product 1 out of the list of products: one unit, and four that arrive."""
    page.get_by_role("link", name="Create").click()
    for label, value in (("Name", "Lamp <b>"), ("Price", "2.50"), ("Opening stock", "1")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("successfully created")).to_be_visible()
    page.get_by_role("link", name="Lamp <b>").click()
    page.get_by_role("link", name="Restock").click()
    page.get_by_label("Units").fill("4")
    page.get_by_label("Reason").fill("arrived")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Lamp <b> now has 5 units.")).to_be_visible()


def pictures_drawn(page: Page) -> int:
    """Return how many of the page's pictures could be loaded and drawn."""
    return int(page.locator("main img").evaluate_all("all => all.filter(one => one.complete && one.naturalWidth).length"))


@pytest.mark.usefixtures("broker")
def test_from_a_new_product_to_a_cancelled_order(receiver: Receiver, processes: Processes, sit_down: SitDown) -> None:
    """Log in, create and restock a product, watch an order settle, cancel it, read what the day came to and who did what."""
    create_superuser(NAME, PASSWORD, "cli:me")
    web, relay, worker = processes.web(), processes.relay(), processes.worker()
    for process in (web, relay, worker):
        process.wait_ready()
    alice = sit_down(web.url, 1280)
    alice.log_in(NAME, PASSWORD, "/admin/products/")
    page = alice.page

    create_and_restock(page)
    order = {"items": [{"product_id": 1, "quantity": 2}], "reference": "PO-7"}
    assert requests.post(f"{web.url}/api/orders/", json=order, timeout=10).status_code == 201
    alice.open("/admin/orders/?q=PO-7")
    row = page.locator("tbody tr").first
    while "confirmed" not in row.inner_text() and one("SELECT clock_timestamp() - created_at < '60 s' FROM orders"):
        page.reload()
    expect(row).to_contain_text("5.00 USD")

    row.get_by_role("link", name="1").click()
    expect(page.locator("h1")).to_contain_text("confirmed")
    page.get_by_label("Reason").fill("by phone")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled: 1.")).to_be_visible()
    assert any("What they bought goes back to stock" in words for words in alice.asked)
    expect(page.locator("h1")).to_contain_text("cancelled")
    assert one("SELECT stock FROM products") == 5
    assert [found.json()["type"] for found in receiver.wait_for(2, PATIENCE / 1000)] == ["order.confirmed", "order.cancelled"]

    summarise_day(today(UTC), UTC, "USD")  # what Beat's tick does after midnight
    page.get_by_role("link", name="Sales").click()
    page.wait_for_url("**/admin/sales/")  # and until its pictures are there
    row = page.locator("tbody tr").first
    cells = [str(today(UTC)), "0.00 USD", "1", "1", "0", "0", "0.00 USD", "–"]  # noqa: RUF001 - as the page writes none
    assert row.locator("td").all_inner_texts() == cells
    assert pictures_drawn(page) == 2

    page.get_by_role("link", name="Audit").click()
    expect(page.locator("tbody tr").first).to_contain_text(re.compile("user:alice.*cancel.*order 1.*by phone", re.DOTALL))


def test_many_orders_are_chosen_and_retried_at_once(processes: Processes, sit_down: SitDown) -> None:
    """The box above chooses all of a page; the question names the action."""
    create_superuser(NAME, PASSWORD, "cli:me")
    rows = fill()
    alice = sit_down(processes.web().wait_ready().url, 390)
    alice.log_in(NAME, PASSWORD, "/admin/orders/?status=failed")
    page = alice.page
    page.get_by_label("Choose row").check()
    page.get_by_label("With the chosen").select_option("retry")
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_text(f"Pending again: {rows.failed}.")).to_be_visible()
    assert page.url.endswith("?status=failed")
    expect(page.get_by_text("No order fits.")).to_be_visible()


def test_screenshots_for_the_documents_are_small_and_there() -> None:
    """They are shown by the documents; 150 kB each at most."""
    pictures = sorted((config.ROOT / "docs/screenshots").glob("*.png"))
    assert len(pictures) == 7
    assert [picture.name for picture in pictures if picture.stat().st_size > 150_000] == []
