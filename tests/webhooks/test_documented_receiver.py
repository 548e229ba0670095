"""The receiver in docs/webhooks.md does what the page says; readers will copy it."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from orderapp.webhooks.signature import signed_headers

from . import SECRET

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"


def source() -> str:
    """Return the receiver as the page has it."""
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(r"<!-- receiver -->\n```python\n(.*?)```\n<!-- /receiver -->", page, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names of the running receiver."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(source(), str(PAGE), "exec"), names)
    return names


def send(client: FlaskClient, name: str, sequence: int, status: str, secret: str = SECRET) -> int:
    """Post an event as this service does; returns the answer's status."""
    event = {"id": name, "type": f"order.{status}", "sequence": sequence, "data": {"id": 7, "status": status}}
    body = orjson.dumps(event)
    answer = client.post("/hook", data=body, headers=signed_headers([secret], name, body, datetime.now(UTC)))
    return int(answer.status_code)


def test_it_is_short() -> None:
    """Nobody reads more: fifteen statements' lines, beside imports and blank ones."""
    lines = [line for line in source().splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(lines) <= 15


def test_it_believes_drops_copies_and_drops_what_is_stale(theirs: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Each outcome is handled once, an old one after a new one not at all, and all are answered 2xx."""
    client = theirs["app"].test_client()
    assert send(client, "evt_2", 2, "confirmed") == 204
    assert send(client, "evt_2", 2, "confirmed") == 204
    assert send(client, "evt_3", 3, "cancelled") == 204
    assert send(client, "evt_1", 2, "failed") == 204
    told = [record.getMessage() for record in caplog.records if "order 7" in record.getMessage()]
    assert told == ["order 7 is confirmed", "order 7 is cancelled"]


def test_it_refuses_what_somebody_else_has_signed(theirs: dict[str, Any]) -> None:
    """Anybody may POST to a public address."""
    client = theirs["app"].test_client()
    assert send(client, "evt_1", 1, "confirmed", "whsec_c29tZWJvZHktZWxzZS1zb21lYm9keS1lbHNl") == 400
    assert theirs["seen"] == set()
