"""The page at /api/docs in a real browser: it shows all, asks nobody outside, says nothing on the console, and can be tried."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from orderapp.products.seeding import seed_products
from tests.browser.operators import Operator
from tests.servers.processes import Processes

pytestmark = pytest.mark.usefixtures("app")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_shows_every_route_and_asks_nobody_outside(
    processes: Processes, sit_down: Callable[[str, int], Operator], width: int
) -> None:
    """What the console says or a stranger is asked fails in ``sit_down``; a product is listed from the page itself."""
    seed_products()
    web = processes.web().wait_ready()
    reader = sit_down(web.url, width)
    reader.open("/api/docs")
    page = reader.page
    expect(page.locator(".opblock-summary-path").first).to_be_visible()
    for heading in ("orders", "products", "events"):
        expect(page.locator(f"#operations-tag-{heading}")).to_be_visible()
    assert page.locator(".opblock").count() >= 13
    page.locator("#operations-products-products_show_all .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text("Laptop")
    assert {url for url in reader.asked if not url.startswith((f"{web.url}/api/", "data:"))} == set()
