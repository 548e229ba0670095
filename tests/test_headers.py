"""Headers of every answer: security, other origins, proxies."""

from pathlib import Path

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

import config
from orderapp import access

SHOP, OTHER = "https://shop.example", "https://evil.example"

PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}


def test_every_answer_of_the_api_is_data_and_nothing_else(client: FlaskClient) -> None:
    """Right or wrong, also where there is no route: not sniffed, not run, not framed, not kept."""
    for path in ("/api/orders/1/", "/api/nothing/", "/api/problems/", "/health/live/", "/nothing/"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in headers
        assert "Set-Cookie" not in headers


def test_the_panel_keeps_its_own_policy(client: FlaskClient) -> None:
    """It runs scripts of its own."""
    headers = client.get("/admin/login/").headers
    assert "'nonce-" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert len(headers.getlist("Content-Security-Policy")) == 1


def test_over_https_a_browser_is_told_to_stay_there(client: FlaskClient) -> None:
    """Over plain HTTP the header would be ignored, and untrue."""
    answer = client.get("/health/live/", base_url="https://localhost")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_no_other_origin_may_read_anything_unless_it_is_named(client: FlaskClient) -> None:
    """Off is off: not even a preflight is answered."""
    for answer in (
        client.get("/api/orders/1/", headers={"Origin": SHOP}),
        client.options("/api/orders/", headers={"Origin": SHOP, **PREFLIGHT}),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.settings(CORS_ORIGINS=f"{SHOP}, http://localhost:3000,", REQUIRE_API_KEY="true")
def test_named_origins_may_ask_with_a_key(client: FlaskClient) -> None:
    """The preflight comes without a key; the answer may be read, errors too; no cookies are let along."""
    for origin in (SHOP, "http://localhost:3000"):
        preflight = client.options("/api/orders/", headers={"Origin": origin, **PREFLIGHT})
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == origin
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
        refused = client.get("/api/orders/1/", headers={"Origin": origin})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, origin)
        assert "X-Request-ID" in refused.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Methods" not in refused.headers
        for answer in (preflight, refused):
            assert "Origin" in answer.headers["Vary"]
            assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.settings(CORS_ORIGINS=SHOP)
@pytest.mark.parametrize("origin", [OTHER, "null", "", f"{SHOP}.evil.example", f"{SHOP}:8443", SHOP.upper(), SHOP[:-1]])
def test_any_other_origin_stays_outside(client: FlaskClient, origin: str) -> None:
    """Compared whole, not by its beginning; a cache must not give it another one's answer."""
    for answer in (
        client.get("/api/orders/1/", headers={"Origin": origin}),
        client.options("/api/orders/", headers={"Origin": origin, **PREFLIGHT}),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.settings(CORS_ORIGINS=SHOP)
def test_only_the_api_is_shared(client: FlaskClient) -> None:
    """The panel has a session."""
    assert "Access-Control-Allow-Origin" not in client.get("/admin/login/", headers={"Origin": SHOP}).headers


FORWARDED = {"X-Forwarded-For": "6.6.6.6, 192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example"}


def seen(app: Flask) -> str:
    """Return what the application takes for the address, scheme and host of a forwarded request."""
    view = access.public(lambda: f"{request.remote_addr} {request.scheme} {request.host}")
    app.add_url_rule("/api/test/", view_func=view)
    return app.test_client().get("/api/test/", headers=FORWARDED).text


def test_without_a_proxy_nobodys_word_is_taken(app: Flask) -> None:
    """Anybody can send these headers."""
    assert seen(app) == "127.0.0.1 http localhost"


@pytest.mark.settings(TRUSTED_PROXIES="1")
def test_one_proxy_is_believed_and_what_came_before_it_is_not(app: Flask) -> None:
    """The last address is the proxy's word, the one before it the client's."""
    assert seen(app) == "192.0.2.7 https api.example"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "shop.example"),
        ("CORS_ORIGINS", "https://shop.example/"),
        ("CORS_ORIGINS", "https://Shop.example"),
        ("CORS_ORIGINS", f"{SHOP},ftp://x"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "11"),
        ("TRUSTED_PROXIES", "yes"),
    ],
)
def test_a_wrong_value_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, wrong: str) -> None:
    """An origin that can never match would only look like one."""
    monkeypatch.setenv(name, wrong)
    with pytest.raises(config.SettingsError) as caught:
        config.load(tmp_path / "there-is-no.env")
    assert name in {fault[0] for fault in caught.value.faults}
