"""Somebody in front of the browser, who notices what the pages do behind the scenes."""

from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, Response

# Milliseconds: an order settles in a fraction of a second; on two busy cores the processes may need a few.
PATIENCE = 30_000


class Operator:
    """A window of the browser on the panel."""

    def __init__(self, browser: Browser, url: str, width: int, scheme: Literal["light", "dark"] = "light") -> None:
        """Open the window; ``scheme`` is what the operator likes."""
        self.url = url
        self.faults: list[str] = []
        self.asked: list[str] = []
        self._context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        self._context.set_default_timeout(PATIENCE)
        self.page: Page = self._context.new_page()
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_response)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", self._note_error)
        self.page.on("dialog", self._accept)

    def open(self, path: str) -> None:
        """Open a page of the panel."""
        self.page.goto(f"{self.url}{path}")

    def log_in(self, name: str, password: str, path: str = "/admin/") -> None:
        """Ask for a page, fill in the login, and be on the page."""
        self.open(path)
        self.page.fill("#name", name)
        self.page.fill("#password", password)
        self.page.click("text=Log in")
        self.page.wait_for_url(f"{self.url}{path}")

    def told(self) -> str:
        """Return what the page tells in its boxes."""
        return " | ".join(self.page.locator("[role=alert]").all_inner_texts())

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def leave(self) -> list[str]:
        """Close the window; returns what was wrong."""
        self._context.close()
        return self.faults

    def _note_request(self, request: Request) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.faults.append(f"asked a stranger: {request.url}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} for {response.url}")

    def _note_console(self, message: ConsoleMessage) -> None:
        self.faults.append(f"console: {message.type}: {message.text}")

    def _note_error(self, error: Error) -> None:
        self.faults.append(f"script: {error}")

    def _accept(self, dialog: Dialog) -> None:
        self.asked.append(dialog.message)
        dialog.accept()
