"""Endpoints over HTTP: what an owner does with its own, and how much is sent again."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp import access
from orderapp.webhooks import routes
from tests.clients import ALICE, CHARLIE, REQUIRED, a_key, bearer, client_id

from .conftest import Factory, Sql

ENDPOINTS = "/api/webhook-endpoints/"
URL = "https://shop.example/hook"

pytestmark = pytest.mark.settings(**REQUIRED)


@pytest.fixture
def alice(client: FlaskClient) -> FlaskClient:
    """Give a client of the API that bears Alice's key."""
    client.environ_base["HTTP_AUTHORIZATION"] = bearer(a_key(ALICE, access.WEBHOOKS_WRITE))["Authorization"]
    return client


def created(client: FlaskClient, **more: Any) -> dict[str, Any]:
    """Create an endpoint; return the answer."""
    answer = client.post(ENDPOINTS, json={"url": URL, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{ENDPOINTS}{answer.json['id']}/"
    return dict(answer.json)


@pytest.fixture
def finished(alice: FlaskClient, a_delivery: Factory, sql: Sql) -> tuple[str, list[int]]:
    """Give an endpoint of Alice's with three exhausted deliveries and a succeeded one, and one of somebody else's."""
    endpoint_id = created(alice)["id"]
    ids = [a_delivery() for _ in range(5)]
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = 'exhausted', attempt = 10, finished_at = clock_timestamp()")
    sql("UPDATE webhook_deliveries SET endpoint_id = :endpoint WHERE id = ANY(:ids)", endpoint=endpoint_id, ids=ids[:4])
    sql("UPDATE webhook_deliveries SET state = 'succeeded' WHERE id = :id", id=ids[3])
    return f"{ENDPOINTS}{endpoint_id}/resend/", ids


def test_a_secret_is_shown_once(alice: FlaskClient) -> None:
    """When the endpoint is created and when the secret is replaced, never afterwards."""
    made = created(alice, description="mine", event_types=["order.failed"])
    assert made["secret"].startswith("whsec_")
    shown = alice.get(f"{ENDPOINTS}{made['id']}/").json
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["url"], shown["event_types"], shown["description"], shown["active"]) == (URL, ["order.failed"], "mine", True)
    assert alice.get(ENDPOINTS).json == {"data": [shown]}
    other = alice.post(f"{ENDPOINTS}{made['id']}/rotate/").json
    assert other["secret"].startswith("whsec_")
    assert other["secret"] != made["secret"]


def test_an_endpoint_is_changed_and_deleted(alice: FlaskClient) -> None:
    """What is left out of a change stays; a deleted one is gone from list and address."""
    path = f"{ENDPOINTS}{created(alice)['id']}/"
    assert alice.patch(path, json={"active": False}).json["disabled_reason"] == "operator"
    answer = alice.patch(path, json={"active": True, "url": f"{URL}/2"}).json
    assert (answer["active"], answer["disabled_reason"], answer["url"]) == (True, None, f"{URL}/2")
    assert alice.patch(path, json={}).status_code == 422
    assert alice.patch(path, json={"url": "https://10.0.0.1/"}).json["errors"][0]["pointer"] == "/url"
    assert alice.delete(path).status_code == 204
    assert alice.get(path).status_code == 404
    assert alice.get(ENDPOINTS).json == {"data": []}


def test_deliveries_come_in_pages_with_filters(alice: FlaskClient, finished: tuple[str, list[int]]) -> None:
    """Newest first, with what came of each; those of other endpoints are not among them."""
    _, ids = finished
    path = f"{finished[0].removesuffix('resend/')}deliveries/"
    first = alice.get(path, query_string={"limit": 3}).json
    assert [row["id"] for row in first["data"]] == [ids[3], ids[2], ids[1]]
    second = alice.get(path, query_string={"limit": 3, "cursor": first["next"]}).json
    assert ([row["id"] for row in second["data"]], second["next"]) == ([ids[0]], None)
    succeeded = alice.get(path, query_string={"state": "succeeded"}).json["data"]
    assert [(row["id"], row["type"], row["attempt"]) for row in succeeded] == [(ids[3], "order.confirmed", 10)]
    assert alice.get(path, query_string={"type": "order.failed"}).json["data"] == []
    assert alice.get(path, query_string={"order_id": succeeded[0]["order_id"]}).json["data"] == succeeded


def test_a_delivery_shows_its_attempts(alice: FlaskClient, finished: tuple[str, list[int]], sql: Sql) -> None:
    """Oldest first, with what the receiver said; not those of another endpoint's delivery."""
    path, ids = finished
    for attempt, status in ((2, 200), (1, 503)):
        sql("INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code, error, answer)"
            " VALUES (:id, :attempt, '2030-01-31T12:00:00Z', 12, :status, :error, 'word')",
            id=ids[0], attempt=attempt, status=status, error=None if status == 200 else "answered 503: word")  # fmt: skip
    deliveries = f"{path.removesuffix('resend/')}deliveries/"
    first, second = alice.get(f"{deliveries}{ids[0]}/attempts/").json["data"]
    assert first == {
        "attempt": 1,
        "started_at": "2030-01-31T12:00:00Z",
        "duration_ms": 12,
        "status_code": 503,
        "error": "answered 503: word",
        "answer": "word",
    }
    assert (second["attempt"], second["status_code"], second["error"]) == (2, 200, None)
    assert alice.get(f"{deliveries}{ids[1]}/attempts/").json == {"data": []}
    assert alice.get(f"{deliveries}{ids[4]}/attempts/").status_code == 404


def test_a_count_ends_where_no_resend_would_begin(
    alice: FlaskClient, finished: tuple[str, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than can be sent says enough; counting all of a million would hold a thread of the web server for it."""
    path, _ = finished
    monkeypatch.setattr(routes, "MOST_AT_ONCE", 2)
    four_fit = {"since": "2000-01-01T00:00:00Z"}
    assert alice.post(path, json=four_fit).json == {"count": 3, "sent": False}
    assert alice.post(path, json=four_fit | {"send": True}).status_code == 409


def test_a_resend_by_filter_counts_first_and_sends_on_request(
    alice: FlaskClient, finished: tuple[str, list[int]], sql: Sql
) -> None:
    """Without ``send`` nothing changes; with it what was counted goes out at the rate, and the audit log knows who asked."""
    path, ids = finished
    assert alice.post(path, json={"state": "exhausted"}).json == {"count": 3, "sent": False}
    assert sql("SELECT 1 FROM outbox") == []
    assert alice.post(path, json={"state": "exhausted", "rate": 1, "send": True}).json == {"count": 3, "sent": True}
    rows = sql("SELECT subject_id, extract(epoch FROM available_at - clock_timestamp()) AS wait FROM outbox ORDER BY id")
    assert [(row.subject_id, round(row.wait)) for row in rows] == [(ids[0], 0), (ids[1], 1), (ids[2], 2)]
    (entry,) = sql("SELECT actor, before, after FROM audit_log WHERE action = 'resend'")
    endpoint_id = int(path.split("/")[3])
    assert tuple(entry) == (f"api:{ALICE}", {"state": "exhausted", "endpoint_id": endpoint_id}, {"sent": 3})


def test_a_resend_is_filtered_by_order_type_and_time(alice: FlaskClient, finished: tuple[str, list[int]], sql: Sql) -> None:
    """What was received fits too, unless a state is named; other endpoints' deliveries never do."""
    path, ids = finished
    (row,) = sql("SELECT order_id, created_at FROM webhook_deliveries WHERE id = :id", id=ids[1])
    at = row.created_at.isoformat()
    for asked, count in (
        ({}, 4),
        ({"state": "succeeded"}, 1),
        ({"order_id": row.order_id}, 1),
        ({"type": "order.failed"}, 0),
        ({"since": at}, 3),
        ({"until": at}, 1),
        ({"since": "2000-01-01T00:00:00+23:59", "until": at}, 1),
    ):
        assert alice.post(path, json=asked).json == {"count": count, "sent": False}, asked


@pytest.mark.parametrize("fault", [
    {"state": "pending"}, {"type": "order.placed"}, {"order_id": "1"}, {"order_id": 0}, {"since": "yesterday"},
    {"since": "2030-01-31T00:00:00"}, {"until": "0001-01-01T00:00:00+01:00"}, {"rate": 0}, {"rate": 501}, {"rate": 1.5},
    {"send": "yes"}, {"endpoint_id": 1},
])  # fmt: skip
def test_a_wrong_filter_is_refused_with_a_pointer(
    alice: FlaskClient, finished: tuple[str, list[int]], sql: Sql, fault: dict[str, Any]
) -> None:
    """A misspelt filter must not send everything."""
    answer = alice.post(finished[0], json={"send": True} | fault)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json["errors"]] == [f"/{name}" for name in fault]
    assert sql("SELECT 1 FROM outbox") == []


@pytest.mark.parametrize("more", [{}, {"rate": 500}])
def test_everything_is_counted_but_never_sent(
    alice: FlaskClient, finished: tuple[str, list[int]], sql: Sql, more: dict[str, Any]
) -> None:
    """A filter that was forgotten, or lost on its way, must not send all there ever was."""
    path, _ = finished
    assert alice.post(path, json=more).json == {"count": 4, "sent": False}
    answer = alice.post(path, json={"send": True} | more)
    assert answer.status_code == 422
    assert answer.json["errors"] == [
        {"pointer": "/send", "detail": "Name what to send: state, type, order_id, since or until."}
    ]
    assert sql("SELECT 1 FROM outbox") == []


def test_one_request_sends_so_many_at_most(
    alice: FlaskClient, finished: tuple[str, list[int]], sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread of the web server is for all; the answer says what to do."""
    path, _ = finished
    monkeypatch.setattr(routes, "MOST_AT_ONCE", 2)
    answer = alice.post(path, json={"state": "exhausted", "send": True})
    assert (answer.status_code, answer.json["detail"]) == (409, "more than 2 deliveries fit; narrow since and until")
    assert sql("SELECT 1 FROM outbox") == []
    assert alice.post(path, json={"state": "succeeded", "send": True}).json == {"count": 1, "sent": True}


def test_nobody_resends_to_anothers_endpoint(client: FlaskClient, finished: tuple[str, list[int]], sql: Sql) -> None:
    """It is as if it did not exist."""
    assert client_id(ALICE)
    stranger = bearer(a_key(CHARLIE, access.WEBHOOKS_WRITE))
    assert client.post(finished[0], json={"state": "exhausted", "send": True}, headers=stranger).status_code == 404
    assert sql("SELECT 1 FROM outbox") == []
