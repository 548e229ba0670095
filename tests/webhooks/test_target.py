"""The way out: which addresses are refused, what counts as received, and that every exchange ends."""

import logging
import socket
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

from orderapp import logs
from orderapp.webhooks.endpoint import Answer, Endpoint
from orderapp.webhooks.target import ANSWER_LIMIT, ERROR_LIMIT, post

from . import SECRET
from .receivers import Behaviour, RecordingReceiver, answering, dripping, hanging, hanging_up, in_turn

# Seconds: short enough for a test, long enough for loopback.
SHORT = 0.4


def send(endpoint: Endpoint, timeout: float = 5) -> Answer:
    """Post a small body."""
    return post(endpoint, b'{"a": 1}', {"webhook-id": "evt_1"}, timeout)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_2xx_is_received(receiver: RecordingReceiver, endpoint: Endpoint, status: int) -> None:
    """The receiver got body and headers; the answer holds status and duration."""
    receiver.behave = answering(status)
    answer = send(endpoint)
    assert answer.received
    assert (answer.status_code, answer.error) == (status, None)
    assert answer.duration_ms >= 0
    assert answer.started_at.tzinfo is not None
    (request,) = receiver.requests
    assert (request.path, request.body, request.headers["webhook-id"]) == ("/hook", b'{"a": 1}', "evt_1")


@pytest.mark.parametrize("status", [304, 400, 401, 404, 410, 429, 500, 503])
def test_every_other_status_is_a_failure_with_what_it_said(
    receiver: RecordingReceiver, endpoint: Endpoint, status: int
) -> None:
    """The operator reads status and the beginning of the answer."""
    receiver.behave = answering(status, b"" if status == 304 else b"try\n\x00later")
    answer = send(endpoint)
    assert not answer.received
    assert answer.status_code == status
    assert answer.error == (f"answered {status}" if status == 304 else f"answered {status}: try  later")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(receiver: RecordingReceiver, endpoint: Endpoint, status: int) -> None:
    """Not even to an allowed host: a redirect could lead anywhere, and the signature with it."""
    receiver.behave = answering(status, location=f"http://{receiver.address}/elsewhere")
    answer = send(endpoint)
    assert answer.error == f"answered {status}: redirects are not followed"
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_a_receiver_that_hangs_is_left_in_time(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """No answer within the timeout is a failure."""
    receiver.behave = hanging
    begin = time.monotonic()
    answer = send(endpoint, SHORT)
    assert answer.error == "no answer within 0.4 s"
    assert answer.status_code is None
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "start",
    [b"H", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.0 200 OK\r\nX-Long: ", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Con"],
    ids=["status line", "header", "old header", "after a continue"],
)
def test_a_receiver_that_drips_its_headers_is_cut_off(receiver: RecordingReceiver, endpoint: Endpoint, start: bytes) -> None:
    """Each byte would start the timeout of requests anew; the deadline holds for the whole."""
    receiver.behave = dripping(start)
    begin = time.monotonic()
    answer = send(endpoint, SHORT)
    assert answer.error == "no answer within 0.4 s"
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    ("status", "headers"),
    [(b"200 OK", b"Connection: close"), (b"200 OK", b"Content-Length: 9999999"), (b"500 No", b"Connection: close")],
    ids=["no length", "with length", "refused"],
)
def test_a_receiver_that_drips_its_body_is_cut_off_and_its_status_counts(
    receiver: RecordingReceiver, endpoint: Endpoint, status: bytes, headers: bytes
) -> None:
    """The status was the answer; the rest is only read for a message."""
    receiver.behave = dripping(b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n\r\n")
    begin = time.monotonic()
    answer = send(endpoint, SHORT)
    assert answer.received == (status == b"200 OK")
    assert answer.status_code == int(status[:3])
    assert time.monotonic() - begin < 2


def test_only_the_beginning_of_a_long_answer_is_read(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """A receiver cannot fill our memory or our table."""
    receiver.behave = answering(500, b"y" * 10_000_000)
    answer = send(endpoint)
    assert answer.error is not None
    assert len(answer.error) == ERROR_LIMIT < ANSWER_LIMIT


def test_the_rest_of_a_long_answer_is_not_waited_for(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """A receiver that promises a megabyte and stops after two kilobytes costs no time."""

    def promising(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n" + b"z" * 2 * ANSWER_LIMIT)
        hanging(handler)

    receiver.behave = promising
    answer = send(endpoint)
    assert answer.error == "answered 500: " + "z" * (ERROR_LIMIT - len("answered 500: "))
    assert answer.duration_ms < 3000


@pytest.mark.parametrize("answer", [b"", b"thank you"])
def test_the_connection_is_kept_for_the_next_webhook(receiver: RecordingReceiver, endpoint: Endpoint, answer: bytes) -> None:
    """A TLS handshake per webhook would cost more than the webhook; short answers are read to their end."""
    receiver.behave = answering(200, answer)
    for _ in range(3):
        assert send(endpoint).received
    assert len({request.peer for request in receiver.requests}) == 1


def test_a_kept_connection_that_the_receiver_closed_is_replaced(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """A restart of the receiver between two webhooks costs no attempt."""
    receiver.behave = in_turn(answering(200, connection="close"), answering(200))
    assert send(endpoint).received
    assert send(endpoint).received


def test_a_cut_connection_is_not_used_again(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """The late answer to one webhook must not be taken for the answer to the next."""
    receiver.behave = in_turn(hanging, answering(201))
    assert not send(endpoint, SHORT).received
    assert send(endpoint).status_code == 201


def test_cookies_are_not_kept(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """One webhook carries nothing over to the next."""
    receiver.behave = answering(200, set_cookie="session=1; Path=/")
    send(endpoint)
    send(endpoint)
    assert receiver.requests[1].headers["Cookie"] is None


def test_proxies_of_the_environment_are_not_used(
    receiver: RecordingReceiver, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would connect to addresses that nobody vetted."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert send(endpoint).received
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (hanging_up, "Connection aborted. Remote end closed connection without response"),
        (dripping(b"\x00220 mail\r\n"), "Connection aborted.  220 mail"),
    ],
    ids=["hangs up", "no HTTP"],
)
def test_a_broken_answer_is_a_failure_in_words(
    receiver: RecordingReceiver, endpoint: Endpoint, behave: Behaviour, error: str
) -> None:
    """No exception of a library comes through, nor the name of one."""
    receiver.behave = behave
    answer = send(endpoint, SHORT)
    assert not answer.received
    assert answer.error == error


def test_a_closed_port_is_a_failure_that_does_not_tell_the_path(endpoint: Endpoint) -> None:
    """Paths and queries of webhook URLs are often secrets; the error is read by more people."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    closed = replace(endpoint, url=f"http://127.0.0.1:{port}/?token=s3cret", allowed_hosts=frozenset({"127.0.0.1"}))
    answer = send(closed)
    assert answer.error is not None
    assert answer.error.startswith(f"127.0.0.1:{port}: no connection: ")
    assert answer.error.endswith("Connection refused")
    assert "s3cret" not in answer.error


def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    """Reserved by RFC 2606, so that it never will."""
    answer = send(Endpoint("https://receiver.invalid/hook", SECRET))
    assert answer.error is not None
    assert answer.error.startswith("receiver.invalid:443: Failed to resolve 'receiver.invalid' (")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "[::1]",
     "[::ffff:127.0.0.1]", "[fd00::1]", "2130706433", "0x7f.1"],
)  # fmt: skip
def test_a_private_address_is_refused_and_the_error_says_what_to_do(host: str) -> None:
    """Nobody can make us call our own database, cloud metadata or neighbours, however the address is written."""
    answer = send(Endpoint(f"https://{host}/hook", SECRET))
    assert answer.error is not None
    assert answer.error == "its address is private; allow it by WEBHOOK_ALLOWED_HOSTS"
    assert answer.status_code is None


def test_plain_http_is_refused_without_a_connection(receiver: RecordingReceiver, endpoint: Endpoint) -> None:
    """Orders do not travel in the clear, unless the operator names the host."""
    answer = send(replace(endpoint, allowed_hosts=frozenset()))
    assert answer.error == "127.0.0.1 is not reached by https; use https or allow it by WEBHOOK_ALLOWED_HOSTS"
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "allowed", "reached"),
    [
        ("http://127.0.0.1:{port}/hook", "127.0.0.1", True),
        ("http://127.0.0.1:{port}/hook", "127.0.0.1:{port}", True),
        ("HTTP://LOCALHOST:{port}/hook", "localhost:{port}", True),
        ("http://127.0.0.1:{port}/hook", "127.0.0.1:1", False),
        ("http://127.0.0.1:{port}/hook", "localhost", False),
        ("http://127.0.0.1:{port}/hook", "127.0.0.1.example.com", False),
        ("http://localhost@127.0.0.1:{port}/hook", "localhost", False),
        ("http://127.0.0.1:{port}#@localhost/hook", "localhost", False),
        ("http://127.0.0.1:{port}\\@localhost/hook", "localhost", False),
    ],
)
def test_an_allowed_host_is_that_host_and_port_only(receiver: RecordingReceiver, url: str, allowed: str, reached: bool) -> None:
    """Names of the list are compared whole, with what the connection is really made to."""
    port = str(receiver.server_port)
    endpoint = Endpoint(url.replace("{port}", port), SECRET, frozenset({allowed.replace("{port}", port)}))
    assert send(endpoint).received == reached
    assert len(receiver.requests) == int(reached)


def test_the_secret_is_not_shown_with_the_endpoint(endpoint: Endpoint) -> None:
    """An endpoint in a log line or traceback gives nothing away."""
    assert SECRET not in repr(endpoint)


def test_a_malformed_answer_puts_no_url_into_the_log(
    receiver: RecordingReceiver, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    """Path and query may be the receiver's secret; urllib3 would write them, with a stack, at each POST."""

    def misspelling(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n")
        handler.close_connection = True

    receiver.behave = misspelling
    root = logging.getLogger()
    before = list(root.handlers), root.level
    try:
        logs.configure("json")
        answer = send(replace(endpoint, url=f"{endpoint.url}?token=hunter2"))
    finally:
        root.handlers[:], root.level = before
    assert answer.received
    assert capsys.readouterr().err == ""
