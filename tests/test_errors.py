"""Errors over HTTP: one shape, in the words of errors.py, for whatever a view raises."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests, Unauthorized, default_exceptions
from werkzeug.routing import RequestRedirect

from orderapp.access import public
from orderapp.database import reading
from orderapp.errors import (
    BadMessageError,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    KeyReusedError,
    NotFoundError,
    NotIdentifiedError,
    OrderAppError,
    PreconditionFailedError,
    StillRunningError,
    TooManyRequestsError,
)

Answer = Callable[[Exception], Any]


@pytest.fixture
def answer(app: Flask) -> Answer:
    """Return what asks the application for the answer to an error that a view of the API raises."""
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def ask(error: Exception, path: str = "/api/test/") -> Any:
        @public
        def view() -> None:
            raise error

        app.add_url_rule(path, view_func=view)
        return app.test_client().get(path)

    return ask


@pytest.mark.parametrize(
    ("error", "status", "title", "kind"),
    [
        (InvalidInputError([("/a", "Wrong.")]), 422, "Unprocessable Content", "invalid-input"),
        (KeyReusedError([("/a", "Wrong.")]), 422, "Unprocessable Content", "idempotency-key-reused"),
        (NotIdentifiedError("Send a key."), 401, "Unauthorized", "no-api-key"),
        (ForbiddenError("Not this."), 403, "Forbidden", "missing-scope"),
        (NotFoundError("There is no order 7."), 404, "Not Found", "not-found"),
        (ConflictError("Order 7 is final."), 409, "Conflict", "conflict"),
        (StillRunningError("Wait."), 409, "Conflict", "request-still-running"),
        (PreconditionFailedError("It changed."), 412, "Precondition Failed", "precondition-failed"),
        (TooManyRequestsError("Wait.", retry_after=7), 429, "Too Many Requests", "too-many-requests"),
        (BadMessageError("odd"), 400, "Bad Request", "bad-request"),
        (OrderAppError("odd"), 400, "Bad Request", "bad-request"),
    ],
)
def test_our_own_errors_have_their_status_and_words(
    answer: Answer, error: OrderAppError, status: int, title: str, kind: str
) -> None:
    """Its class decides; the message is for the client."""
    given = answer(error)
    assert (given.status_code, given.mimetype) == (status, "application/problem+json")
    problem = orjson.loads(given.data)
    assert (problem["type"], problem["title"], problem["status"]) == (f"/api/problems/{kind}/", title, status)
    if status != 422:
        assert problem["detail"] == str(error)
        assert "errors" not in problem


def test_faults_are_listed_with_their_pointers(answer: Answer) -> None:
    """In the order in which they were found."""
    problem = orjson.loads(answer(InvalidInputError([("/b", "Second."), ("", "Whole.")])).data)
    assert problem["errors"] == [{"pointer": "/b", "detail": "Second."}, {"pointer": "", "detail": "Whole."}]
    assert str(InvalidInputError([("/b", "Second."), ("", "Whole.")])) == "/b: Second.; body: Whole."


def test_a_bug_is_a_500_that_says_nothing_of_the_inside(answer: Answer) -> None:
    """Where to find it in the log, and not what it was."""
    given = answer(KeyError("postgresql://user:secret@host"))
    assert (given.status_code, given.mimetype) == (500, "application/problem+json")
    assert "secret" not in given.text
    assert orjson.loads(given.data)["request_id"] == given.headers["X-Request-ID"]


def test_a_wrong_statement_is_a_500_and_no_outage(app: Flask) -> None:
    """Trying again would not help, so the client is not told to."""

    @app.get("/api/test/")
    @public
    def view() -> None:
        with reading() as session:
            session.execute(text("SELECT secret_column"))

    given = app.test_client().get("/api/test/")
    assert given.status_code == 500
    assert "Retry-After" not in given.headers
    assert "secret_column" not in given.text


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (Unauthorized(www_authenticate=WWWAuthenticate("bearer")), "WWW-Authenticate", "Bearer"),
        (TooManyRequests(retry_after=7), "Retry-After", "7"),
        (ServiceUnavailable(retry_after=9), "Retry-After", "9"),
    ],
)
def test_headers_that_say_what_to_do_next_are_kept(answer: Answer, error: Exception, name: str, value: str) -> None:
    """An error in our shape without them would be half an answer."""
    given = answer(error)
    assert given.headers[name].strip() == value
    assert given.mimetype == "application/problem+json"


@pytest.mark.parametrize("path", ["/api/nothing/", "/api/", "/health/nothing/"])
def test_what_is_not_there_is_a_problem_document(client: FlaskClient, path: str) -> None:
    """Machines read these paths."""
    given = client.get(path)
    assert (given.status_code, given.mimetype) == (404, "application/problem+json")


def test_pages_keep_the_usual_answer(client: FlaskClient) -> None:
    """A person with a browser gets a page."""
    given = client.get("/nothing/")
    assert (given.status_code, given.mimetype) == (404, "text/html")


def test_a_redirect_is_no_error(answer: Answer) -> None:
    """Nor anything else below 400, however it was raised."""
    given = answer(RequestRedirect("/elsewhere/"))
    assert (given.status_code, given.headers["Location"]) == (308, "/elsewhere/")


@pytest.mark.parametrize("strange", ["\ud800", "\x00", "é" * 10, "<script>"])
def test_any_text_can_be_answered(client: FlaskClient, strange: str) -> None:
    """The path is part of no answer, and no path makes a 500."""
    path = "/api/orders/" + strange.encode("utf-8", "surrogatepass").decode("latin1") + "/"
    given = client.get("/", environ_overrides={"PATH_INFO": path})
    assert given.status_code == 404
    assert "script" not in given.text


@pytest.mark.parametrize(
    ("status", "kind"), [(406, "about:blank"), (501, "about:blank"), (500, "/api/problems/internal-error/")]
)
def test_a_status_without_a_page_says_no_more_than_itself(answer: Answer, status: int, kind: str) -> None:
    """As RFC 9457 has it."""
    given = answer(default_exceptions[status]())
    assert (given.status_code, given.get_json(force=True)["type"]) == (status, kind)


@pytest.mark.usefixtures("client")
def test_every_problem_of_the_api_has_its_shape_its_id_and_its_page(client: FlaskClient, a_product: Callable[..., int]) -> None:
    """Provoked from outside, one of each status; the type of each leads to a page that is there."""
    a_product()
    json = {"content_type": "application/json"}
    asked = {
        400: client.post("/api/orders/", data="{", **json),
        401: client.get("/api/orders/1/", headers={"Authorization": "Bearer x"}),
        404: client.get("/api/orders/1/"),
        405: client.delete("/api/orders/1/"),
        413: client.post("/api/orders/", data=" " * 70_000, **json),
        415: client.post("/api/orders/", data="{}", content_type="text/plain"),
        422: client.post("/api/orders/", json={}),
    }
    for status, given in asked.items():
        problem = given.get_json(force=True)
        assert (given.status_code, problem["status"], given.mimetype) == (status, status, "application/problem+json")
        assert problem["request_id"] == given.headers["X-Request-ID"]
        page = client.get(problem["type"])
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert f"Status {status}." in page.text
    assert asked[405].headers["Allow"]
    assert asked[401].headers["WWW-Authenticate"]


@pytest.mark.parametrize("given", ["mine-1", "A.b:c_D-9", "x" * 64])
def test_a_plain_request_id_is_taken_over(client: FlaskClient, given: str) -> None:
    """In the answer, right or wrong, and in the problem document."""
    for path in ("/health/live/", "/api/orders/1/"):
        assert client.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a\x1b[31m", "\u00e9"])
def test_a_strange_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    """It could forge a line of the log."""
    answer = client.get("/api/orders/1/", environ_overrides={"HTTP_X_REQUEST_ID": given})
    UUID(answer.headers["X-Request-ID"])
    assert answer.get_json(force=True)["request_id"] == answer.headers["X-Request-ID"]
