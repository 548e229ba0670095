"""Log lines: one format for every logger, an id for every request, no secrets and no forged lines."""

import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from orderapp import logs
from orderapp.outbox.messages import parameters
from orderapp.queues import WEBHOOKS_DELIVER

SECRET = "battery staple"


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    """Give pytest its own handlers back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.contextvars.clear_contextvars()


def test_json_lines_say_what_when_who_and_with_what(capsys: pytest.CaptureFixture[str]) -> None:
    """One object per line, from our loggers and from everybody else's."""
    logs.configure("json")
    structlog.get_logger("orderapp.test").info("order placed", order_id=7)
    logging.getLogger("somebody.else").warning("low on %s", "luck")
    ours, theirs = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (ours["event"], ours["order_id"], ours["level"], ours["logger"]) == ("order placed", 7, "info", "orderapp.test")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("low on luck", "warning", "somebody.else")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_logged_with_its_stack_and_without_its_variables(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    """A variable may hold a password; in JSON the stack stays one line."""
    logs.configure(log_format)
    try:
        fail_with_a_secret(SECRET)
    except ValueError:
        structlog.get_logger("orderapp.test").exception("task failed")
    said = capsys.readouterr().err
    assert "ValueError: 14" in said
    assert "in fail_with_a_secret" in said
    assert SECRET not in said
    assert log_format == "console" or len(said.splitlines()) == 1


def fail_with_a_secret(secret: str) -> None:
    """Raise while a secret is in a variable."""
    raise ValueError(len(secret))


@pytest.mark.parametrize("forged", ["order placed\n2026-01-01 [info] order paid", "a\r\nb"])
def test_a_value_cannot_begin_a_line_of_its_own(capsys: pytest.CaptureFixture[str], forged: str) -> None:
    """In JSON, which machines read, a line break is an escape."""
    logs.configure("json")
    structlog.get_logger("orderapp.test").info("said", text=forged)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_configuring_twice_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Gunicorn's master and a second application in one process do so."""
    logs.configure("json")
    logs.configure("json")
    structlog.get_logger("orderapp.test").info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("given", ["abc", "a-b_c.d:1", "X" * 64])
def test_a_plain_request_id_of_the_client_is_kept(client: FlaskClient, given: str) -> None:
    """His log and ours then meet."""
    assert client.get("/health/live/", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a b", "X" * 65, "a;b", "é", '"', "a\tb"])
def test_any_other_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    """It could forge a line or fill the disk."""
    answer = client.get("/health/live/", headers={"X-Request-ID": given.encode().decode("latin1")})
    assert len(answer.headers["X-Request-ID"]) == 36
    assert answer.headers["X-Request-ID"] != given


def test_two_requests_have_two_ids(client: FlaskClient) -> None:
    """One each, also without asking for it."""
    ids = {client.get("/health/live/").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize("path", ["/health/live/", "/api/orders/x/", "/bug/"])
def test_a_thread_forgets_the_request_with_its_answer(app: Flask, path: str) -> None:
    """Whatever it does next, for the server or for another request, is not told under this id; a bug is no way around it."""
    app.add_url_rule("/bug/", view_func=lambda: 1 / 0)
    environ = EnvironBuilder(path, headers={"X-Request-ID": "abc"}).get_environ()
    # As a server's thread calls it: the test client would forget by itself, in a context of its own.
    run_wsgi_app(app.wsgi_app, environ)
    assert structlog.contextvars.get_contextvars() == {}


def test_outside_a_request_there_is_no_request_id() -> None:
    """A worker's message then carries none, instead of a wrong one."""
    assert logs.current_request_id() == ""


def test_what_a_task_enqueues_belongs_to_the_request_of_its_message(app: Flask) -> None:
    """The webhook of an order then leads back to its POST."""
    assert app
    with structlog.contextvars.bound_contextvars(**logs.request_id_from("abc")):
        assert parameters(WEBHOOKS_DELIVER)["headers"] == '{"request_id":"abc"}'
    assert parameters(WEBHOOKS_DELIVER)["headers"] == "{}"


@pytest.mark.parametrize("header", [None, 7, "", "a b", "x" * 65, ["abc"], "a\nb"])
def test_a_request_id_that_we_never_sent_is_not_believed(header: object) -> None:
    """A stranger's message could forge lines."""
    assert logs.request_id_from(header) == {}


def test_gunicorn_and_warnings_use_the_format_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Else plain text stands between the objects: gunicorn's logger has a handler before the application is loaded."""
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.addHandler(logging.StreamHandler())
    gunicorn.propagate = False
    logging.captureWarnings(capture=False)  # an earlier test switched it on, and pytest took it back behind logging's back
    logs.configure("json")
    gunicorn.warning("worker timeout")
    warnings.showwarning("old", UserWarning, "there.py", 7)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["logger"] for line in said] == ["gunicorn.error", "py.warnings"]
