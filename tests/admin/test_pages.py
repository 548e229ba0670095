"""What every answer of the panel carries, and what people see when something is wrong."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from orderapp.admin import figures, gate
from tests.admin.visitors import Visitor

Visit = Callable[[str], Visitor]

PAGES = ["/admin/", "/admin/login/", "/admin/orders/", "/admin/products/new/", "/admin/sales/", "/admin/nowhere/"]


@pytest.mark.parametrize("path", PAGES)
def test_scripts_run_by_the_nonce_of_their_answer_only(visit: Visit, path: str) -> None:
    """A new one each time; no script or style stands in an attribute."""
    alice = visit("superuser")
    answers = [alice.client.get(path, follow_redirects=True) for _ in range(2)]
    nonces = [re.findall(r"'nonce-([\w-]{20,})'", answer.headers["Content-Security-Policy"])[0] for answer in answers]
    assert nonces[0] != nonces[1]
    for answer, nonce in zip(answers, nonces, strict=True):
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert re.findall(r"<script([^>]*)>", answer.text) == [f' nonce="{nonce}" src="/admin/panel/panel.js"']
        assert not re.search(r"\son\w+=|javascript:|\sstyle=|https?://(?!www\.w3\.org)", answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_not_kept_framed_or_sniffed(visit: Visit, path: str) -> None:
    """After the logout, the Back button shows nothing."""
    headers = visit("superuser").get(path).headers
    assert (headers["Cache-Control"], headers["X-Frame-Options"]) == ("no-store", "DENY")
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "same-origin")


def test_style_sheets_may_be_kept(visit: Visit) -> None:
    """They hold no secrets, and need no login."""
    answer = visit("").get("/admin/panel/panel.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] != "no-store"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OperationalError("SELECT secret", {}, Exception("gone")), (503, "The database cannot be reached now.")),
        (ZeroDivisionError("secret"), (500, "The fault is ours; it was logged under this request id.")),
    ],
)
def test_a_fault_is_a_page_that_gives_nothing_away(
    app: Flask, visit: Visit, monkeypatch: pytest.MonkeyPatch, error: Exception, told: tuple[int, str]
) -> None:
    """For an outage with the advice to try again."""
    status, words = told

    def fail(_session: object) -> None:
        raise error

    visitor = visit("viewer")
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr(figures, "open_orders", fail)
    answer = visitor.get("/admin/live/")
    assert (answer.status_code, words in answer.text, "secret" in answer.text) == (status, True, False)
    assert (answer.headers.get("Retry-After") == "2") == (status == 503)


@pytest.mark.parametrize(
    ("address", "local"),
    [("/admin/", True), ("/admin/orders/?a=b", True), ("/admin", False), ("//admin/", False), ("/admin/\\..", False),
     ("/admin/\n", False), ("https://x/admin/", False), ("", False)],
)  # fmt: skip
def test_only_addresses_of_the_panel_are_local(address: str, local: bool) -> None:
    """Whatever else a browser might make of it."""
    assert gate.is_local(address) == local


def test_a_return_address_elsewhere_is_refused(visit: Visit) -> None:
    """Flask-Admin would follow any on this host, and fail at one that is none."""
    alice = visit("superuser")
    for address in ("https://evil.example/", "//evil.example", "http://[", "/api/orders/"):
        assert alice.get("/admin/products/new/", url=address).status_code == 400
