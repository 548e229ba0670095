"""API keys are issued and revoked by hand; their use is noted without anybody waiting for it."""

from collections.abc import Callable

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from orderapp import access
from orderapp.accounts import keys
from orderapp.accounts.issuing import issue_key, note_use, revoke_key
from orderapp.errors import ConflictError, InvalidInputError, NotFoundError
from tests.clients import ALICE, CHARLIE, REQUIRED, a_key, bearer
from tests.servers.processes import Processes
from tests.servers.waiting import wait_until
from tests.sql import holding, one, row_counts, sql
from tests.threads import at_once

READ = [access.ORDERS_READ]


@pytest.fixture(autouse=True)
def _app(app: Flask) -> Flask:
    return app


def test_a_key_makes_its_client_and_leaves_a_line_without_the_secret() -> None:
    """Who, what, for whom; the database holds the hash alone."""
    key = issue_key(ALICE, ["orders:write", "orders:read", "orders:read"], "cli:me")
    prefix, secret_hash = keys.parse(key) or ("", b"")
    row = one("SELECT name, k.* FROM api_keys k JOIN api_clients c ON c.id = client_id")
    assert (row.name, row.prefix) == (ALICE, prefix)
    assert bytes(row.secret_hash) == secret_hash
    assert (row.scopes, row.last_used_at, row.revoked_at) == (["orders:read", "orders:write"], None, None)
    audit = one("SELECT actor, action, subject, subject_id, after FROM audit_log")
    assert audit[:3] == ("cli:me", "issue", "api_key")
    assert audit.after == {"client": ALICE, "prefix": prefix, "scopes": ["orders:read", "orders:write"]}
    assert key.partition("_")[2] not in str(sql("SELECT * FROM audit_log"))


def test_a_client_has_two_active_keys_at_most() -> None:
    """One in use, one to replace it; another client has its own two."""
    first, _ = issue_key(ALICE, READ, "cli"), issue_key(ALICE, READ, "cli")
    before = row_counts()
    with pytest.raises(ConflictError, match="Alice has 2 active keys"):
        issue_key(ALICE, READ, "cli")
    assert row_counts() == before
    issue_key(CHARLIE, READ, "cli")
    revoke_key(first.partition("_")[0], "cli")
    assert issue_key(ALICE, READ, "cli")


def test_keys_issued_at_the_same_moment_are_counted_too(app: Flask) -> None:
    """Eight at once: two are made."""

    def issue() -> bool:
        try:
            return bool(issue_key(ALICE, READ, "cli"))
        except ConflictError:
            return False

    assert sum(at_once(app, *[issue] * 8)) == 2
    assert one("SELECT count(*) FROM api_keys") == 2


@pytest.mark.parametrize(
    ("name", "scopes", "pointers"),
    [
        ("", READ, ["/name"]),
        (" a", READ, ["/name"]),
        ("a\n", READ, ["/name"]),
        ("a\x00", READ, ["/name"]),
        ("x" * 101, READ, ["/name"]),
        (ALICE, [], ["/scopes"]),
        (ALICE, ["orders:eat"], ["/scopes"]),
        ("", [*READ, ""], ["/name", "/scopes"]),
    ],
)
def test_a_wrong_name_or_scope_is_refused(name: str, scopes: list[str], pointers: list[str]) -> None:
    """Before anything is written."""
    with pytest.raises(InvalidInputError) as refusal:
        issue_key(name, scopes, "cli")
    assert [pointer for pointer, _ in refusal.value.faults] == pointers
    assert one("SELECT count(*) FROM api_clients") == 1


def test_revoking_is_written_down_once() -> None:
    """A second time changes nothing, a prefix that nobody has is told."""
    prefix = issue_key(ALICE, READ, "cli").partition("_")[0]
    revoke_key(prefix, "cli:me")
    revoked_at = one("SELECT revoked_at FROM api_keys")
    revoke_key(prefix, "cli:you")
    assert one("SELECT revoked_at FROM api_keys") == revoked_at
    assert sql("SELECT actor FROM audit_log WHERE action = 'revoke'") == [("cli:me",)]
    with pytest.raises(NotFoundError, match="There is no key oak1"):
        revoke_key("oak1", "cli")


def test_the_last_use_is_noted_once_a_minute() -> None:
    """A write per minute and key, however busy it is."""
    issue_key(ALICE, READ, "cli")
    note_use(1)
    first = one("SELECT last_used_at FROM api_keys")
    assert one("SELECT clock_timestamp() - last_used_at < interval '5 s' FROM api_keys")
    note_use(1)
    assert one("SELECT last_used_at FROM api_keys") == first
    sql("UPDATE api_keys SET last_used_at = clock_timestamp() - interval '61 s'")
    note_use(1)
    assert one("SELECT last_used_at FROM api_keys") > first


def test_nobody_waits_to_note_a_use() -> None:
    """Whoever finds the row locked leaves it to the one that holds it."""
    issue_key(ALICE, READ, "cli")
    with holding("UPDATE api_keys SET last_used_at = NULL"):
        note_use(1)
    assert one("SELECT last_used_at FROM api_keys") is None


@pytest.mark.settings(**REQUIRED)
def test_a_use_is_noted_after_the_answer_and_not_again_within_a_minute(client: FlaskClient) -> None:
    """Only when it is news is there anything to do; a refused request is no use."""
    headers = bearer(a_key(ALICE, access.REPORTS_READ))
    answer = client.get("/api/reports/daily-sales/", headers=headers)
    assert (answer.status_code, one("SELECT last_used_at FROM api_keys")) == (200, None)
    answer.close()
    noted = one("SELECT last_used_at FROM api_keys")
    assert noted is not None
    client.get("/api/reports/daily-sales/", headers=headers).close()
    assert one("SELECT last_used_at FROM api_keys") == noted
    sql("UPDATE api_keys SET last_used_at = NULL")
    client.get("/api/orders/1/", headers=headers).close()
    assert one("SELECT last_used_at FROM api_keys") is None


@pytest.mark.settings(**REQUIRED)
def test_a_database_that_goes_away_after_the_answer_harms_nobody(app: Flask) -> None:
    """The answer was right; the note is for the next request."""

    def fail(_key_id: int) -> None:
        raise OperationalError("UPDATE", {}, Exception("gone"))

    access._note(app, fail, 1)


@pytest.mark.settings(**REQUIRED)
def test_gunicorn_notes_a_use_as_well(processes: Processes, a_product: Callable[..., int]) -> None:
    """Behind a real server the answer is closed, too."""
    a_product()
    web = processes.web().wait_ready()
    order = {"items": [{"product_id": 1, "quantity": 1}]}
    answer = requests.post(f"{web.url}/api/orders/", json=order, headers=bearer(a_key()), timeout=10)
    assert answer.status_code == 201
    wait_until(lambda: one("SELECT last_used_at FROM api_keys"), 10, "the use to be noted")
