"""Webhook endpoints in the panel: made, changed and deleted by the acts, their secrets shown once and nowhere else."""

import re
from collections.abc import Callable

import pytest

from orderapp.accounts.issuing import issue_key
from tests.admin.examples import HOOK, Rows
from tests.admin.visitors import Visitor, alerts
from tests.sql import one, sql

Visit = Callable[[str], Visitor]

NEW, PAGE = "/admin/endpoints/new/", "/admin/endpoints/"
FORM = {"address": f"{HOOK}/2", "event_types": ["order.failed", "order.cancelled"], "description": "ERP"}


def secret_in(page: str) -> str:
    """Return the secret that a page shows."""
    found = re.search(r'<code id="secret"[^>]*>(whsec_[^<]+)</code>', page)
    assert found, page
    return found[1]


def stored() -> list[str]:
    """Return the URLs of the endpoints that are listed."""
    rows = sql("SELECT url FROM webhook_endpoints WHERE id > 1 AND disabled_reason IS DISTINCT FROM 'deleted' ORDER BY id")
    return [row.url for row in rows]


def test_a_new_endpoint_shows_its_secret_once(visit: Visit, rows: Rows) -> None:
    """In the answer that made it: no later page has it, and no cookie carries it."""
    superuser = visit("superuser")
    answer = superuser.post(NEW, FORM)
    secret = secret_in(answer.text)
    row = one("SELECT * FROM webhook_endpoints ORDER BY id DESC LIMIT 1")
    assert (row.url, row.event_types, row.description, row.client_id) == (*FORM.values(), None)
    assert row.secret == secret
    assert secret not in str(answer.headers)
    page = superuser.get(PAGE).text
    assert row.url in page
    assert secret not in page
    audit = one("SELECT actor, action, subject_id, after::text AS after FROM audit_log ORDER BY id DESC LIMIT 1")
    assert (audit.actor, audit.action, audit.subject_id) == ("user:alice", "create", row.id)
    assert secret not in audit.after
    assert rows.endpoint != row.id


def test_an_endpoint_can_be_for_one_client(visit: Visit, rows: Rows) -> None:
    """By its name; a name that nobody has is told at its field."""
    assert rows
    issue_key("Bob", ["orders:read"], "cli:me")
    superuser = visit("superuser")
    assert "There is no client Bert." in superuser.post(NEW, FORM | {"client": "Bert"}).text
    assert stored() == [HOOK]
    superuser.post(NEW, FORM | {"client": "Bob"})
    owner = one("SELECT name FROM api_clients JOIN webhook_endpoints e ON e.client_id = api_clients.id ORDER BY e.id DESC")
    assert owner == "Bob"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"address": "http://127.0.0.1/"}, "Refused: "),
        ({"address": ""}, "This field is required."),
        ({"event_types": []}, "This field is required."),
        ({"event_types": ["order.eaten"]}, "not a valid choice"),
        ({"description": "a\x07b"}, "Must be printable characters only."),
    ],
)
def test_what_no_webhook_could_be_sent_to_is_told_at_its_field(
    visit: Visit, rows: Rows, wrong: dict[str, str], words: str
) -> None:
    """And nothing is stored, neither new nor changed."""
    superuser = visit("superuser")
    for address in (NEW, f"{PAGE}edit/?id={rows.endpoint}"):
        answer = superuser.post(address, FORM | wrong)
        assert answer.status_code == 200
        assert words in answer.text, address
    assert stored() == [HOOK]


def test_an_endpoint_is_changed_and_deleted(visit: Visit, rows: Rows) -> None:
    """Its number stays, its deliveries too."""
    superuser = visit("superuser")
    assert HOOK in superuser.get(f"{PAGE}edit/?id={rows.endpoint}").text
    superuser.post(f"{PAGE}edit/?id={rows.endpoint}", FORM)
    row = one("SELECT * FROM webhook_endpoints WHERE id = %(id)s", id=rows.endpoint)
    assert (row.url, row.event_types, row.description) == tuple(FORM.values())
    assert superuser.told(f"{PAGE}action/", {"action": "delete", "rowid": rows.endpoint}) == f"Deleted: {rows.endpoint}."
    assert stored() == []


def test_a_new_secret_signs_beside_the_old_one(visit: Visit, rows: Rows) -> None:
    """It is shown once, as the first one was."""
    before = one("SELECT secret FROM webhook_endpoints WHERE id = %(id)s", id=rows.endpoint)
    secret = secret_in(visit("superuser").post(f"{PAGE}rotate/?id={rows.endpoint}", {}).text)
    row = one("SELECT secret, previous_secret FROM webhook_endpoints WHERE id = %(id)s", id=rows.endpoint)
    assert (row.secret, row.previous_secret) == (secret, before)
    assert secret != before


def test_the_built_in_endpoint_is_what_the_settings_say(visit: Visit, rows: Rows) -> None:
    """The panel offers no change of it, and refuses one."""
    assert rows
    superuser = visit("superuser")
    page = superuser.get(PAGE).text
    assert f"edit/?id={rows.endpoint}" in page
    assert "edit/?id=1" not in page
    assert "rotate/?id=1" not in page
    for address, form in ((f"{PAGE}edit/?id=1", FORM), (f"{PAGE}rotate/?id=1", {})):
        assert "The built-in endpoint is what WEBHOOK_URL" in alerts(superuser.post(address, form))
    assert one("SELECT url FROM webhook_endpoints WHERE id = 1") is None
