"""Generated from the URL map: every endpoint has a right and a request, and refuses whoever lacks the right."""

from collections.abc import Callable, Iterator
from dataclasses import fields

import pytest
from flask import Flask

from orderapp.accounts.roles import ROLES, reaches
from orderapp.admin.rights import EVERYBODY, RIGHTS
from tests.admin.examples import Rows, requests_for
from tests.admin.visitors import Visitor, alerts, contents

Visit = Callable[[str], Visitor]


def endpoints(app: Flask, method: str) -> Iterator[tuple[str, str]]:
    """Yield every endpoint of the panel that needs a role and answers this method, with the role."""
    for rule in app.url_map.iter_rules():
        needed = RIGHTS.get(rule.endpoint, "")
        if rule.rule.startswith("/admin") and method in (rule.methods or ()) and needed != EVERYBODY:
            yield rule.endpoint, needed


def test_every_endpoint_has_a_right_and_every_right_an_endpoint(app: Flask) -> None:
    """A page nobody thought about is closed, and this test says that it has to be thought about."""
    found = {rule.endpoint for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin")}
    assert found == set(RIGHTS)
    assert {RIGHTS[endpoint] for endpoint in found} == {EVERYBODY, *ROLES}


def test_everybody_may_only_log_in_and_load_style_sheets(app: Flask) -> None:
    """Nothing else is open."""
    assert {endpoint for endpoint, needed in RIGHTS.items() if needed == EVERYBODY} == {
        "panel.login",
        "panel.log_in",
        "panel.static",
        "admin.static",
    }
    assert app.config["SESSION_COOKIE_PATH"] == "/admin"


def test_every_endpoint_has_a_request_in_these_tests(app: Flask, rows: Rows) -> None:
    """A new endpoint without an entry in examples.py fails here, and a form without data too."""
    wanted = requests_for(rows)
    known = {endpoint for method in ("GET", "POST") for endpoint, _ in endpoints(app, method)}
    assert set(wanted) == known
    assert [endpoint for endpoint, _ in endpoints(app, "POST") if not wanted[endpoint].forms] == []


def test_a_page_without_login_leads_to_the_login(app: Flask, visit: Visit, rows: Rows) -> None:
    """And from there back to the page."""
    nobody, wanted = visit(""), requests_for(rows)
    for endpoint, _ in endpoints(app, "GET"):
        answer = nobody.get(wanted[endpoint].path)
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/admin/login/"), endpoint


def test_a_form_without_login_is_refused(app: Flask, visit: Visit, rows: Rows) -> None:
    """Even with a token, which anybody gets from the login."""
    nobody, wanted, before = visit(""), requests_for(rows), contents()
    for endpoint, _ in endpoints(app, "POST"):
        for form in wanted[endpoint].forms:
            answer = nobody.post(wanted[endpoint].path, form)
            assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/"), endpoint
    assert contents() == before


@pytest.mark.parametrize("token", [None, "", "made-up", "somebody else's"])
def test_a_form_without_its_token_is_refused(app: Flask, visit: Visit, rows: Rows, token: str | None) -> None:
    """From the mightiest user, with no token, a wrong one or one of another session."""
    alice, wanted = visit("superuser"), requests_for(rows)
    if token == "somebody else's":
        token = visit("viewer").token()
    before = contents()
    for endpoint, _ in endpoints(app, "POST"):
        for form in wanted[endpoint].forms:
            data = form if token is None else {**form, "csrf_token": token}
            answer = alice.client.post(wanted[endpoint].path, data=data)
            assert answer.status_code == 400, endpoint
            assert "CSRF" in answer.text
    assert contents() == before


@pytest.mark.parametrize("role", ROLES)
def test_a_form_beyond_the_role_is_refused(app: Flask, visit: Visit, rows: Rows, role: str) -> None:
    """With login and token, and nothing changes."""
    visitor, wanted = visit(role), requests_for(rows)
    before = contents()
    beyond = [endpoint for endpoint, needed in endpoints(app, "POST") if not reaches(role, needed)]
    for endpoint in beyond:
        for form in wanted[endpoint].forms:
            answer = visitor.post(wanted[endpoint].path, form)
            assert (answer.status_code, "Your role does not include this." in answer.text) == (403, True), endpoint
    assert contents() == before
    assert bool(beyond) == (role != "superuser")


@pytest.mark.parametrize("role", ROLES)
def test_a_form_within_the_role_changes_something(app: Flask, visit: Visit, rows: Rows, role: str) -> None:
    """So that the refusals above are about the right, and not about a form that never works."""
    visitor, wanted = visit(role), requests_for(rows)
    for endpoint, needed in endpoints(app, "POST"):
        if endpoint == "panel.log_out" or not reaches(role, needed):
            continue
        before = contents()
        assert [alerts(visitor.post(wanted[endpoint].path, form)) for form in wanted[endpoint].forms[:1]] == [""]
        after = contents()
        assert after != before, endpoint
        assert after["audit_log"] != before["audit_log"], endpoint


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
@pytest.mark.parametrize("role", ROLES)
def test_every_page_is_shown_to_whom_it_is_for(
    app: Flask, visit: Visit, request: pytest.FixtureRequest, role: str, filled: bool
) -> None:
    """200 for those who may, 403 for the others; with empty tables a page of one row leads to the list."""
    rows = request.getfixturevalue("rows") if filled else Rows(*[99] * len(fields(Rows)))
    visitor, wanted = visit(role), requests_for(rows)
    for endpoint, needed in endpoints(app, "GET"):
        answer = visitor.get(wanted[endpoint].path)
        shown = 200 if filled or "?id=" not in wanted[endpoint].path else 302
        assert answer.status_code == (shown if reaches(role, needed) else 403), endpoint
        assert "alert('x')" not in answer.text, endpoint


def test_the_menu_offers_what_the_role_includes(visit: Visit) -> None:
    """And pages offer no form that would be refused."""
    assert "/admin/audit/" not in visit("operator").get("/admin/").text
    assert "/admin/audit/" in visit("superuser").get("/admin/").text
    assert "/admin/products/new/" not in visit("operator").get("/admin/products/").text
    assert "action_form" not in visit("viewer").get("/admin/orders/").text


def test_an_unknown_page_is_a_page_too(visit: Visit) -> None:
    """404 without a trace of the inside; also below a page that exists."""
    for path in ("/admin/nowhere/", "/admin/orders/delete/", "/admin/orders/export/csv/", "/admin/orders/ajax/update/"):
        answer = visit("superuser").get(path)
        assert (answer.status_code, "To the first page" in answer.text) == (404, True), path
