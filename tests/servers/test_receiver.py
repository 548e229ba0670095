"""The webhook receiver of the tests: records, answers as told, verifies."""

import socket
from datetime import UTC, datetime

import pytest
import requests
from standardwebhooks import Webhook, WebhookVerificationError

from tests.servers.receiver import SECRET, Receiver

BODY = '{"id": 1}'


def _send(receiver: Receiver, secret: str = SECRET) -> requests.Response:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "event",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("event", now, BODY),
    }
    return requests.post(receiver.url, data=BODY, headers=headers, timeout=10)


def test_a_signed_request_is_recorded_and_verified(receiver: Receiver) -> None:
    """The verification is the library's own, not ours."""
    assert _send(receiver).status_code == 200
    (request,) = receiver.wait_for(1)
    assert request.verify() == request.json() == {"id": 1}
    assert request.id == "event"


def test_a_wrong_signature_is_noticed(receiver: Receiver) -> None:
    """Otherwise no test of signatures would mean anything."""
    _send(receiver, "whsec_" + "A" * 44)
    with pytest.raises(WebhookVerificationError):
        receiver.requests[0].verify()


def test_half_a_request_is_none(receiver: Receiver) -> None:
    """A sender that is killed after its headers has told nothing; its successor sends the whole."""
    host, _, port = receiver.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as killed:
        killed.sendall(b"POST /hook HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
        killed.shutdown(socket.SHUT_WR)
        assert killed.recv(1) == b""
    assert receiver.requests == []


def test_the_answer_is_the_one_configured(receiver: Receiver) -> None:
    """A fixed status, or one decided per request."""
    receiver.status = 503
    assert _send(receiver).status_code == 503
    receiver.answer = lambda _request: 200 if len(receiver.requests) > 2 else 500
    assert [_send(receiver).status_code for _ in range(2)] == [500, 200]


def test_a_stopped_receiver_refuses_and_starts_again_at_the_same_address(receiver: Receiver) -> None:
    """Receivers have outages too."""
    receiver.stop()
    with pytest.raises(requests.ConnectionError):
        _send(receiver)
    receiver.start()
    assert _send(receiver).status_code == 200


def test_a_slow_answer_comes_late(receiver: Receiver) -> None:
    """A receiver that hangs makes its caller time out."""
    receiver.delay = 60
    with pytest.raises(requests.ReadTimeout):
        requests.post(receiver.url, data=BODY, timeout=0.2)
    assert len(receiver.requests) == 1
