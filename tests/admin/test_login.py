"""The way in and out: cookies, limits, and where one is sent."""

from collections.abc import Callable
from http.cookies import SimpleCookie
from itertools import product

import pytest
from flask import Flask

import config
import orderapp
from orderapp.accounts import guard, registering
from tests.admin.visitors import PASSWORD, Visitor, alerts
from tests.sql import one, sql

Visit = Callable[[str], Visitor]

REFUSED = "This name and password do not belong together, or the user is disabled."


def cookie(visitor: Visitor) -> str:
    """Return the session's cookie."""
    found = visitor.client.get_cookie("orderapp_session", path="/admin")
    assert found
    return found.value


def test_without_users_the_login_says_how_to_create_one(app: Flask) -> None:
    """There is no default user; with one, the hint is gone."""
    assert "flask users create-superuser" in Visitor(app).get("/admin/login/").text
    registering.create_superuser("alice", PASSWORD, "cli:me")
    assert "create-superuser" not in Visitor(app).get("/admin/login/").text


def test_the_session_is_a_new_one_after_the_login(visit: Visit) -> None:
    """Whoever planted a session before the login holds nothing after it; its token is worth nothing either."""
    visitor = visit("")
    old_token, old_cookie = visitor.token(), cookie(visitor)
    assert visitor.log_in("alice").status_code == 302
    assert cookie(visitor) != old_cookie
    answer = visitor.client.post("/admin/logout/", data={"csrf_token": old_token})
    assert answer.status_code == 400


@pytest.mark.parametrize("production", [True, False])
def test_the_cookie_is_the_panels_alone(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: object, production: bool
) -> None:
    """HttpOnly, SameSite=Lax, below /admin only; in production over HTTPS only."""
    if production:
        monkeypatch.setenv("APP_ENV", "production")
        monkeypatch.setenv("SECRET_KEY", "0123456789abcdef" * 4)
        monkeypatch.setenv("CELERY_BROKER_URL", "amqp://me:0123456789abcdef@127.0.0.1:9//")
    app = orderapp.create_app(config.load(env_file=tmp_path / "no.env"))  # type: ignore[operator]
    header = app.test_client().get("/admin/login/").headers["Set-Cookie"]
    morsel = SimpleCookie(header)["orderapp_session"]
    assert (morsel["path"], morsel["httponly"], morsel["samesite"]) == ("/admin", True, "Lax")
    assert bool(morsel["secure"]) == production
    assert environment


def test_the_session_ends_when_idle(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour without a click; each click begins a new hour."""
    visitor = visit("viewer")
    issued = "itsdangerous.timed.TimestampSigner.get_timestamp"
    begin = int(guard.now())
    monkeypatch.setattr(issued, lambda _self: begin + 3500)
    assert visitor.get("/admin/").status_code == 200
    monkeypatch.setattr(issued, lambda _self: begin + 7000)
    assert visitor.get("/admin/").status_code == 200
    monkeypatch.setattr(issued, lambda _self: begin + 7000 + 3700)
    assert visitor.get("/admin/").status_code == 302


def test_even_a_busy_session_ends_after_a_working_day(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve hours after the login."""
    visitor = visit("viewer")
    now = guard.now()
    monkeypatch.setattr(guard, "now", lambda: now + guard.LONGEST_SESSION - 60)
    assert visitor.get("/admin/").status_code == 200
    monkeypatch.setattr(guard, "now", lambda: now + guard.LONGEST_SESSION + 60)
    assert visitor.get("/admin/").status_code == 302


@pytest.mark.parametrize("end", ["set-password", "disable", "role"])
def test_what_changes_the_user_reaches_the_open_session(visit: Visit, end: str) -> None:
    """A new password and a disabling end it; a lower role counts from the next click."""
    visitor = visit("superuser")
    assert visitor.get("/admin/audit/").status_code == 200
    if end == "set-password":
        registering.set_password("alice", "another horse battery", "cli:me")
    elif end == "disable":
        registering.disable_user("alice", "cli:me")
    else:
        sql("UPDATE users SET role = 'operator'")
    assert visitor.get("/admin/audit/").status_code == (403 if end == "role" else 302)


def test_logging_out_ends_copies_of_the_cookie_too(app: Flask, visit: Visit) -> None:
    """And only a form can do it: a picture in a mail cannot."""
    visitor = visit("viewer")
    copied = cookie(visitor)
    assert visitor.get("/admin/logout/").status_code == 405
    assert visitor.post("/admin/logout/").status_code == 302
    assert visitor.get("/admin/").status_code == 302
    thief = Visitor(app)
    thief.client.set_cookie("orderapp_session", copied, path="/admin")
    assert thief.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong horse battery"), ("bob", PASSWORD), ("", ""), ("al\0ice", "x"), ("' OR 1=1 --", "x")],
)
def test_a_wrong_name_and_a_wrong_password_are_answered_alike(visit: Visit, name: str, password: str) -> None:
    """The answer does not tell who exists."""
    answer = visit("").log_in(name, password)
    assert (answer.status_code, alerts(answer)) == (401, REFUSED)


def test_the_log_names_only_who_exists(visit: Visit, caplog: pytest.LogCaptureFixture) -> None:
    """What else is typed into that field may be a password; refused and limited attempts are logged alike."""
    visitor = visit("")
    for name in ("alice", PASSWORD, "al\0ice"):
        for _ in range(11):
            visitor.log_in(name, "x")
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict) and "login" in record.msg["event"]]
    assert {(line["event"], line["name"]) for line in lines} == set(
        product(("login refused", "login limited"), ("alice", None))
    )
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/api/orders/",
     "/admin\n/x", "http://[", "/admin/\r\nSet-Cookie: a=b", "evil", " /admin/", "/admin/\u0000"],
)  # fmt: skip
def test_the_login_sends_nobody_elsewhere(visit: Visit, target: str) -> None:
    """Only to a page of the panel."""
    answer = visit("").log_in("alice", next=target)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert visit("").get("/admin/login/", next=target).status_code == 200


def test_the_login_leads_to_the_page_that_was_wanted(visit: Visit) -> None:
    """With its filters."""
    visitor = visit("")
    there = visitor.get("/admin/orders/?status=failed&q=a%20b").headers["Location"]
    assert 'name="next" value="/admin/orders/?status=failed&amp;q=a%20b"' in visitor.client.get(there).text
    wanted = visitor.log_in("alice", next="/admin/orders/?status=failed&q=a%20b").headers["Location"]
    assert wanted == "/admin/orders/?status=failed&q=a%20b"
    assert visitor.get("/admin/login/").headers["Location"] == "/admin/"


def test_an_account_is_tried_ten_times_and_then_not_even_with_the_right_password(visit: Visit) -> None:
    """From any address; the others go on. A quarter of an hour later it may be tried again."""
    visitor = visit("")
    token = visitor.token()

    def attempt(number: int, name: str, password: str) -> int:
        data = {"csrf_token": token, "name": name, "password": password}
        environment = {"REMOTE_ADDR": f"192.0.2.{number}"}
        return visitor.client.post("/admin/login/", data=data, environ_base=environment).status_code

    assert [attempt(number, "Alice" if number % 2 else " alice ", "wrong") for number in range(10)] == [401] * 10
    assert attempt(10, "alice", PASSWORD) == 429
    assert attempt(11, "oscar", "wrong") == 401
    sql("UPDATE rate_limits SET expires_at = clock_timestamp()")
    assert attempt(12, "alice", PASSWORD) == 302


def test_an_address_is_heard_forty_times(visit: Visit) -> None:
    """Whatever names it tries; the answer says when to come back."""
    visitor = visit("")
    token = visitor.token()
    sql("INSERT INTO rate_limits SELECT key, 39, now() + interval '60 s' FROM (VALUES ('none')) AS v(key)")
    answers = []
    for number in range(42):
        data = {"csrf_token": token, "name": f"user{number}", "password": ""}
        answers.append(visitor.client.post("/admin/login/", data=data))
        if number == 0:  # 39 more, without asking 39 times
            sql("UPDATE rate_limits SET hits = 39 WHERE key LIKE '%%127.0.0.1%%'")
        if answers[-1].status_code == 429:
            break
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15 * 60
    assert "Too many attempts. Try again in 15 min." in alerts(answers[-1])


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("", "unknown"),
    ],
)
def test_one_customer_of_ipv6_is_one_address(app: Flask, address: str, key: str) -> None:
    """A /64 belongs to one household."""
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert guard.address_key() == key


def test_the_name_is_kept_hashed_in_the_counters(visit: Visit) -> None:
    """People type their password into the wrong field."""
    visit("").log_in("my secret password", "x")
    assert one("SELECT count(*) FROM rate_limits WHERE key LIKE '%%secret%%'") == 0
    assert one("SELECT count(*) FROM rate_limits") == 2


def test_answers_of_the_api_know_nothing_of_sessions(visit: Visit) -> None:
    """No cookie is set there, none is read."""
    visitor = visit("superuser")
    answer = visitor.client.get("/api/orders/1/")
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert "nonce" not in answer.headers["Content-Security-Policy"]
