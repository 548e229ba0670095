"""``flask webhooks``: what an operator sees and may do."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from orderapp.webhooks.endpoint import Endpoint, Receivers
from orderapp.webhooks.sending import deliver
from orderapp.webhooks.signature import signed_headers
from orderapp.webhooks.target import post

from . import SECRET
from .conftest import Factory, Sql
from .receivers import RecordingReceiver, answering

FLASK = Path(sys.executable).with_name("flask")
BODY = b'{"type": "order.failed", "sequence": 2, "data": {"id": 3, "status": "failed [bold]", "total_amount": null}}'
ROOT = Path(__file__).resolve().parents[2]


def listen(environment: dict[str, str], *options: str) -> subprocess.Popen[str]:
    """Start the command as a person does."""
    return subprocess.Popen(
        [FLASK, "webhooks", "listen", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_listen_prints_and_verifies_until_it_is_told_to_end(environment: dict[str, str], number: signal.Signals) -> None:
    """One line per webhook, at once even into a pipe; a clean end without a traceback."""
    with listen(environment, "--port", "0", "--secret", SECRET) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = re.search(r"http://(127\.0\.0\.1:\d+)/", process.stdout.readline())
        assert address
        endpoint = Endpoint(f"http://{address[1]}/", SECRET, frozenset({address[1]}))
        assert post(endpoint, BODY, signed_headers([SECRET], "evt_1", BODY, datetime.now(UTC))).received
        assert "order.failed  order 3 failed [bold]  total -  sequence 2  signature valid" in process.stdout.readline()
        assert post(endpoint, BODY, {}).status_code == 400
        assert "signature INVALID: Missing required headers" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert "Traceback" not in process.stderr.read()


def test_listen_says_in_one_line_that_the_port_is_taken(environment: dict[str, str]) -> None:
    """And which option moves it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with listen(environment, "--port", port, "--secret", SECRET) as process:
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.strip() == f"Error: cannot listen on port {port}: Address already in use; choose another with --port"


def test_listen_needs_a_secret(app: Flask) -> None:
    """Without one nothing could be verified."""
    result = app.test_cli_runner().invoke(args=["webhooks", "listen"])
    assert result.exit_code == 2
    assert "give --secret, or set WEBHOOK_SECRET" in result.output


def test_deliveries_are_shown_as_a_table(
    app: Flask, a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers
) -> None:
    """With state, attempts and what the receiver said last; its words are shown as they are."""
    receiver.behave = answering(500, b"[red]\x1b[31mno")
    deliver([a_delivery()], receivers)
    output = app.test_cli_runner().invoke(args=["webhooks", "deliveries"], env={"COLUMNS": "200"}).output
    assert "order.confirmed" in output
    assert "pending" in output
    assert "answered 500: [red] [31mno" in output


def test_deliveries_are_shown_as_json_for_machines(app: Flask, a_delivery: Factory, receivers: Receivers) -> None:
    """Filtered by state and order."""
    first, second = a_delivery(), a_delivery()
    deliver([first], receivers)

    def shown(*options: str) -> list[int]:
        result = app.test_cli_runner().invoke(args=["webhooks", "deliveries", "--json", *options])
        assert result.exit_code == 0
        return [row["id"] for row in json.loads(result.output)]

    assert shown() == [second, first]
    assert shown("--state", "succeeded") == [first]
    assert shown("--order", "999") == []
    assert shown("--limit", "1") == [second]


@pytest.mark.settings(WEBHOOK_URL="https://receiver.example/", WEBHOOK_SECRET=SECRET)
def test_resend_makes_a_given_up_delivery_due(app: Flask, a_delivery: Factory, sql: Sql) -> None:
    """And says what happens next."""
    delivery_id = a_delivery()
    sql("UPDATE webhook_deliveries SET state = 'exhausted'")
    result = app.test_cli_runner().invoke(args=["webhooks", "resend", str(delivery_id)])
    assert (result.exit_code, result.output) == (0, f"delivery {delivery_id} is due now; the relay and a worker send it\n")
    assert sql("SELECT state FROM webhook_deliveries")[0].state == "pending"


@pytest.mark.settings(WEBHOOK_URL="https://receiver.example/", WEBHOOK_SECRET=SECRET)
def test_resend_refuses_in_one_line(app: Flask, a_delivery: Factory) -> None:
    """A pending delivery, an unknown one."""
    pending = a_delivery()
    for delivery_id, reason in ((pending, "is pending"), (4711, "there is no delivery 4711")):
        result = app.test_cli_runner().invoke(args=["webhooks", "resend", str(delivery_id)])
        assert result.exit_code == 1
        assert reason in result.output


def test_resend_without_an_endpoint_says_so(app: Flask, a_delivery: Factory, sql: Sql) -> None:
    """The delivery would only be disabled again."""
    delivery_id = a_delivery()
    sql("UPDATE webhook_deliveries SET state = 'disabled'")
    result = app.test_cli_runner().invoke(args=["webhooks", "resend", str(delivery_id)])
    assert result.exit_code == 1
    assert "WEBHOOK_URL is not set" in result.output
    assert sql("SELECT state FROM webhook_deliveries")[0].state == "disabled"
