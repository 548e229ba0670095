"""Who may use which route: the URL map times keys, scopes and owners."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orderapp import access
from orderapp.accounts.issuing import revoke_key
from orderapp.webhooks.drafts import Draft
from orderapp.webhooks.registering import create_endpoint
from tests.api_routes import ROUTES, Route
from tests.clients import ALICE, CHARLIE, REQUIRED, a_key, bearer, client_id
from tests.orders.examples import placed
from tests.sql import one, row_counts

Ask = Callable[[str, str, dict[str, str]], Any]

PROTECTED = {which: route for which, route in ROUTES.items() if route.scope}

UNKNOWN_KEY = f"oak000000000000_{'0' * 64}"


@pytest.fixture
def ask(app: Flask, client: FlaskClient, a_product: Callable[..., int]) -> Ask:
    """Return what sends the right request of a route, about things of Alice's, with these headers."""
    a_key(ALICE)
    hers = client_id(ALICE)
    endpoint_id = create_endpoint(Draft("https://shop.example/hook"), hers, frozenset(), ALICE).id
    ping = "INSERT INTO webhook_deliveries (endpoint_id, ping_id, state) VALUES (%(id)s, gen_random_uuid(), 'succeeded')"
    things = {
        "order_id": placed((a_product(), 1), client_id=hers),
        "product_id": a_product(),
        "endpoint_id": endpoint_id,
        "delivery_id": one(f"{ping} RETURNING id", id=endpoint_id),
    }

    def send(method: str, endpoint: str, headers: dict[str, str]) -> Any:
        (rule,) = [rule for rule in app.url_map.iter_rules(endpoint) if method in (rule.methods or ())]
        with app.test_request_context():
            path = app.url_for(endpoint, **{name: things[name] for name in rule.arguments})
        return client.open(path, method=method, headers=headers, **ROUTES[method, endpoint].request)

    return send


def cases() -> Iterator[tuple[str, str, Route]]:
    """Yield the routes that want a key."""
    for (method, endpoint), route in PROTECTED.items():
        yield method, endpoint, route


def test_every_route_of_the_api_is_in_the_table_and_declares_what_it_says(app: Flask) -> None:
    """A new route is tried below, or this fails; it is closed to everybody until it declares for whom it is."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith(access.PREFIX)]
    found = {
        (method, rule.endpoint): access.declared_by(app.view_functions[rule.endpoint])
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == {which: route.scope for which, route in ROUTES.items()}


@pytest.mark.settings(**REQUIRED)
def test_without_a_good_key_every_route_is_401_and_changes_nothing(ask: Ask) -> None:
    """None, no key of ours, an unknown one, a revoked one, another scheme: all in the words of RFC 6750."""
    revoked = a_key(CHARLIE)
    revoke_key(revoked.partition("_")[0], "cli:test")
    sent = [{}, bearer(UNKNOWN_KEY), bearer(revoked), bearer("x"), bearer(""), {"Authorization": "Basic YTpi"}]
    before = row_counts()
    for method, endpoint, _ in cases():
        for headers in sent:
            answer = ask(method, endpoint, headers)
            assert (answer.status_code, answer.mimetype) == (401, "application/problem+json"), endpoint
            is_bearer = headers.get("Authorization", "").startswith("Bearer")
            challenge = 'Bearer realm="orderapp"' + (', error="invalid_token"' if is_bearer else "")
            assert answer.headers["WWW-Authenticate"] == challenge
    assert row_counts() == before


@pytest.mark.settings(**REQUIRED)
def test_each_scope_opens_its_own_routes_and_no_others(ask: Ask) -> None:
    """A key with all scopes but the one is 403, which names it; a key with the one alone is enough."""
    for scope in {route.scope for _, _, route in cases()}:
        others = a_key("Others", *(set(access.SCOPES) - {scope}))
        alone = a_key(ALICE, scope)
        for method, endpoint, route in cases():
            if route.scope != scope:
                continue
            before = row_counts()
            refused = ask(method, endpoint, bearer(others))
            assert (refused.status_code, refused.mimetype) == (403, "application/problem+json"), endpoint
            assert f'scope="{scope}"' in refused.headers["WWW-Authenticate"]
            assert scope in refused.get_json()["detail"]
            assert row_counts() == before
            assert ask(method, endpoint, bearer(alone)).status_code == route.status, endpoint
        for key in (others, alone):
            revoke_key(key.partition("_")[0], "cli:test")


@pytest.mark.settings(**REQUIRED)
def test_what_belongs_to_another_client_is_404_and_stays_as_it_is(ask: Ask) -> None:
    """With every scope there is; what belongs to nobody answers everybody."""
    charlies = bearer(a_key(CHARLIE))
    for method, endpoint, route in cases():
        before = row_counts()
        answer = ask(method, endpoint, charlies)
        assert answer.status_code == (404 if route.owned else route.status), endpoint
        if route.owned:
            assert row_counts() == before


def test_in_open_mode_whoever_sends_no_key_is_anonymous_with_every_scope(ask: Ask) -> None:
    """And still sees nobody else's things; development works so, and `make run`."""
    for method, endpoint, route in cases():
        assert ask(method, endpoint, {}).status_code == (404 if route.owned else route.status), endpoint


def test_in_open_mode_a_key_counts_none_the_less(ask: Ask) -> None:
    """Alice sees what is hers; a wrong key is refused instead of taken for nobody's."""
    alices = bearer(a_key(ALICE))
    for method, endpoint, route in cases():
        assert ask(method, endpoint, alices).status_code == route.status, endpoint
        assert ask(method, endpoint, bearer(UNKNOWN_KEY)).status_code == 401, endpoint


@pytest.mark.settings(**REQUIRED)
def test_a_revoked_key_is_refused_at_once(ask: Ask) -> None:
    """No process remembers it."""
    key = a_key(ALICE)
    assert ask("GET", "orders.show", bearer(key)).status_code == 200
    revoke_key(key.partition("_")[0], "cli:test")
    assert ask("GET", "orders.show", bearer(key)).status_code == 401


@pytest.mark.settings(**REQUIRED)
def test_a_browser_may_ask_what_is_allowed_without_a_key(client: FlaskClient) -> None:
    """OPTIONS runs no view."""
    answer = client.options("/api/orders/")
    assert answer.status_code == 200
    assert "POST" in answer.headers["Allow"]


@pytest.mark.settings(**REQUIRED)
@pytest.mark.parametrize(("path", "status"), [("/api/nothing/", 404), ("/health/live/", 200), ("/health/ready/", 200)])
def test_what_is_no_route_of_the_api_asks_for_no_key(client: FlaskClient, path: str, status: int) -> None:
    """A load balancer has none."""
    assert client.get(path).status_code == status


def test_a_route_that_declares_nothing_is_closed_to_everybody(app: Flask) -> None:
    """Forgotten is not open; a public one is."""
    app.add_url_rule("/api/forgotten/", view_func=lambda: "secret", endpoint="forgotten")
    app.add_url_rule("/api/public/", view_func=access.public(lambda: "news"), endpoint="public")
    assert app.test_client().get("/api/forgotten/").status_code == 403
    assert app.test_client().get("/api/public/").text == "news"


def test_a_scope_that_does_not_exist_is_a_mistake_at_once() -> None:
    """No key could have it."""
    with pytest.raises(ValueError, match="unknown scope 'orders:eat'"):
        access.requires("orders:eat")
