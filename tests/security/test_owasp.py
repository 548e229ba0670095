"""OWASP's ten risks of APIs (2023): what no test of a single room proves. risks.py names the proof of each risk."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api_routes import ROUTES
from tests.clients import ALICE, a_key, bearer
from tests.sql import sql

Ask = Callable[[str, str, dict[str, str]], Any]

# What no answer may hold: secrets, their hashes, and what only our processes know of each other.
INSIDE = (
    "secret_hash",
    "password_hash",
    "previous_secret",
    "lease_until",
    "rescue_at",
    "task_id",
    "client_id",
    "session_version",
)

# Where something is served, and for whom.
PLACES = {
    "/api": "programs, by key",
    "/admin": "operators, by session",
    "/health": "load balancers",
    "/metrics": "Prometheus, by loopback or token",
}


def reads() -> Iterator[str]:
    """Yield the routes that read something of a client's."""
    yield from (endpoint for (method, endpoint), route in ROUTES.items() if method == "GET" and route.scope)


class TestAPI3PropertiesOfOthers:
    """Broken object property level authorization: what is written is tests/test_bad_bodies.py's, this is what is read."""

    def test_no_answer_holds_a_secret_or_what_our_processes_tell_each_other(self, ask: Ask) -> None:
        """The owner itself gets an endpoint's secret once, when it is made."""
        alices = bearer(a_key(ALICE))
        secrets = [row.secret for row in sql("SELECT secret FROM webhook_endpoints WHERE secret IS NOT NULL")]
        assert secrets
        for endpoint in reads():
            answer = ask("GET", endpoint, alices)
            assert answer.status_code == 200
            found = [word for word in (*INSIDE, *secrets) if word in answer.text]
            assert not found, endpoint


class TestAPI4UnrestrictedResources:
    """Unrestricted resource consumption."""

    @pytest.mark.parametrize("limit", [0, -1, 101, 10**9, 2**63, "1e3", "all"])
    def test_no_page_is_as_large_as_somebody_likes(self, client: FlaskClient, limit: object) -> None:
        """Every list has its bound."""
        for path in ("/api/orders/", "/api/products/"):
            assert client.get(path, query_string={"limit": limit}).status_code == 422, path

    def test_a_report_of_all_days_is_refused(self, client: FlaskClient) -> None:
        """It would be three million rows."""
        asked = {"from": "0001-01-01", "to": "9999-12-31"}
        assert client.get("/api/reports/daily-sales/", query_string=asked).status_code == 422


class TestAPI8Misconfiguration:
    """Security misconfiguration."""

    @pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "DEBUG", "X" * 100])
    def test_a_method_that_nobody_declared_is_refused_everywhere(self, ask: Ask, app: Flask, method: str) -> None:
        """TRACE would give a page the header that it may not read."""
        assert ask
        headers = bearer(a_key())
        for rule in app.url_map.iter_rules():
            if not rule.arguments:
                assert app.test_client().open(rule.rule, method=method, headers=headers).status_code == 405, rule.rule

    def test_no_header_turns_a_read_into_a_write(self, client: FlaskClient) -> None:
        """Frameworks that believe X-HTTP-Method-Override let a link delete."""
        for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = client.get("/api/orders/", headers={header: "POST"}, json={"items": [{"product_id": 1, "quantity": 1}]})
            assert answer.status_code == 200
        assert client.post("/api/orders/", data={"_method": "DELETE"}).status_code == 415


class TestAPI9Inventory:
    """Improper inventory management."""

    def test_nothing_is_served_where_nobody_looks_for_it(self, app: Flask) -> None:
        """A debugger, a forgotten version or an example of a library would be a place of its own."""
        found = {f"/{rule.rule.split('/')[1]}" for rule in app.url_map.iter_rules()}
        assert found == set(PLACES)
