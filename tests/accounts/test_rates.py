"""RATE_LIMIT: each key's requests are counted by all processes together."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from flask.testing import FlaskClient

import config
from tests.clients import CHARLIE, REQUIRED, a_key, bearer
from tests.servers.processes import Processes
from tests.sql import one, row_counts, sql
from tests.wire import listening

URL = "/api/orders/1/"

NAMES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def standing(client: FlaskClient, headers: dict[str, str]) -> tuple[int, ...]:
    """Ask; return the status, the limit and what remains."""
    answer = client.get(URL, headers=headers)
    limit, remaining, reset = (int(answer.headers[name]) for name in NAMES)
    assert 50 <= reset <= 60
    return answer.status_code, limit, remaining


@pytest.mark.settings(**REQUIRED, RATE_LIMIT="2/minute")
def test_a_key_that_asks_too_often_is_429_and_told_when_to_come_back(client: FlaskClient) -> None:
    """Each answer says how the key stands; when the window is over, it begins anew. Another key has its own."""
    alice, charlie = bearer(a_key()), bearer(a_key(CHARLIE))
    assert [standing(client, alice) for _ in range(2)] == [(404, 2, 1), (404, 2, 0)]
    refused = client.get(URL, headers=alice)
    assert (refused.status_code, refused.mimetype) == (429, "application/problem+json")
    assert refused.get_json()["title"] == "Too Many Requests"
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("2", "0")
    assert standing(client, charlie) == (404, 2, 1)
    sql("UPDATE rate_limits SET expires_at = clock_timestamp()")
    assert standing(client, alice) == (404, 2, 1)


@pytest.mark.settings(**REQUIRED, RATE_LIMIT="2/minute")
def test_a_request_that_is_refused_is_counted_and_stores_nothing(client: FlaskClient, a_product: Callable[..., int]) -> None:
    """Whatever it was refused for; only a key that nobody has is nobody's count."""
    lamp, headers = a_product(), bearer(a_key(CHARLIE, "orders:write"))
    assert client.get(URL, headers=bearer("x")).status_code == 401
    assert sql("SELECT 1 FROM rate_limits") == []
    assert client.get(URL, headers=headers).status_code == 403
    assert client.post("/api/orders/", json={}, headers=headers).status_code == 422
    before = row_counts()
    order = {"items": [{"product_id": lamp, "quantity": 1}]}
    assert client.post("/api/orders/", json=order, headers=headers).status_code == 429
    assert row_counts() == before


@pytest.mark.settings(RATE_LIMIT="1/hour")
def test_without_keys_each_network_is_counted(client: FlaskClient) -> None:
    """In open mode nobody else is told apart."""
    asks = [client.get(URL, environ_base={"REMOTE_ADDR": address}) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1")]
    assert [answer.status_code for answer in asks] == [404, 404, 429]
    assert 3500 < int(asks[-1].headers["Retry-After"]) <= 3600


def test_without_a_limit_nothing_is_written_and_nothing_said(client: FlaskClient) -> None:
    """Each limited request costs a write."""
    with listening() as wire:
        answer = client.get(URL)
    assert [said.statement.split()[0] for said in wire.said] == ["SELECT"]
    assert not {name for name in answer.headers.keys() if name.startswith("RateLimit")}  # noqa: SIM118 - no dict
    assert sql("SELECT 1 FROM rate_limits") == []


@pytest.mark.settings(RATE_LIMIT="100/minute")
def test_a_limit_costs_one_statement_outside_of_any_transaction(client: FlaskClient) -> None:
    """And one more when a window begins, which sweeps."""
    client.get(URL)
    with listening() as wire:
        client.get(URL)
    assert [said.statement.split()[0] for said in wire.said] == ["INSERT", "SELECT"]
    assert one("SELECT hits FROM rate_limits") == 2


@pytest.mark.settings(RATE_LIMIT="3/minute")
def test_two_processes_let_three_of_nine_through(processes: Processes) -> None:
    """Counted in each process, up to six would pass."""
    web = processes.web("--workers", "2").wait_ready()
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(lambda _: requests.get(f"{web.url}{URL}", timeout=20).status_code, range(9)))
    assert sorted(answers) == [404] * 3 + [429] * 6


@pytest.mark.parametrize("wrong", ["100", "0/minute", "100/week", "100 per minute", "-1/day", "1/minute;2/day"])
def test_a_wrong_limit_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: str) -> None:
    """Not taken for no limit."""
    monkeypatch.setenv("RATE_LIMIT", wrong)
    with pytest.raises(config.SettingsError) as caught:
        config.load(tmp_path / "there-is-no.env")
    assert "RATE_LIMIT" in {name for name, _, _ in caught.value.faults}
