"""The page of metrics: what it says, to whom, and what it costs the database."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp.database import reading
from orderapp.monitoring import truths
from orderapp.orders.processing import process_orders
from tests.orders.examples import TASK, placed
from tests.sql import sql
from tests.wire import listening

AProduct = Callable[..., int]

TOKEN = {"METRICS_TOKEN": "a-token-of-some-length"}

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def page(client: FlaskClient) -> list[str]:
    """Return the lines of the page."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return answer.text.splitlines()


def test_orders_are_told_as_the_database_has_them(client: FlaskClient, a_product: AProduct) -> None:
    """Whoever counted, and however often it was restarted since."""
    lamp = a_product(stock=1)
    process_orders([placed((lamp, 1)), placed((lamp, 1))], TASK)
    placed((lamp, 1))
    sql("UPDATE orders SET rescue_at = now() - interval '5 minutes' WHERE id = 3")
    lines = page(client)
    for line in (
        'orderapp_orders{state="open"} 1.0',
        'orderapp_orders{state="overdue"} 1.0',
        'orderapp_recent_events{type="order.placed"} 3.0',
        'orderapp_recent_events{type="order.confirmed"} 1.0',
        'orderapp_recent_events{type="order.failed"} 1.0',
        'orderapp_recent_settled{runs="1"} 2.0',
        "orderapp_database_up 1.0",
    ):
        assert line in lines
    (slowest,) = [line for line in lines if line.startswith('orderapp_recent_settle_seconds{quantile="0.99"}')]
    assert 0 < float(slowest.rpartition(" ")[2]) < 60


def test_only_the_last_minute_is_recent(client: FlaskClient, a_product: AProduct) -> None:
    """An hour ago is history; where nothing has happened there is no quantile, and no false alarm."""
    process_orders([placed((a_product(), 1))], TASK)
    sql("ALTER TABLE order_events DISABLE TRIGGER USER")
    sql("UPDATE order_events SET id = CAST('00' || substr(CAST(id AS text), 3) AS uuid)")
    sql("ALTER TABLE order_events ENABLE TRIGGER USER")
    assert not [
        line for line in page(client) if line.startswith(("orderapp_recent_events{", "orderapp_recent_settle_seconds{"))
    ]


def test_the_outbox_is_told_per_queue(client: FlaskClient) -> None:
    """Due, for later, parked, and the age of the oldest that is due."""
    sql(
        "INSERT INTO outbox (queue, task, subject_id, available_at, parked_at)"
        " SELECT 'orders', 'orders.process', 1, now() + CAST(due AS interval), parked FROM (VALUES"
        " ('-90 s', NULL), ('-10 s', NULL), ('1 hour', NULL), ('-1 day', now())) AS row(due, parked)"
    )
    lines = page(client)
    for state, number in (("due", 2), ("later", 1), ("parked", 1)):
        assert f'orderapp_outbox_messages{{queue="orders",state="{state}"}} {number}.0' in lines
    assert 'orderapp_outbox_messages{queue="webhooks",state="due"} 0.0' in lines
    (oldest,) = [line for line in lines if line.startswith('orderapp_outbox_oldest_seconds{queue="orders"}')]
    assert 90 <= float(oldest.rpartition(" ")[2]) < 150


def test_webhooks_are_told_by_result_and_receivers_by_state(client: FlaskClient) -> None:
    """What was given up is refused or unreachable, too."""
    sql("INSERT INTO webhook_deliveries (endpoint_id, ping_id, rescue_at) VALUES (1, gen_random_uuid(), now())")
    sql(
        "INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code)"
        " SELECT 1, attempt, now() - CAST(ago AS interval), 250, status FROM (VALUES (1, '1 hour', 500), (2, '2 min', 500),"
        " (3, '9 s', 500), (4, '8 s', NULL), (10, '7 s', 404), (11, '6 s', 200)) AS row(attempt, ago, status)"
    )
    sql("UPDATE webhook_endpoints SET active = false, disabled_reason = 'gone'")
    lines = page(client)
    for result, number in (("received", 1), ("refused", 2), ("unreachable", 1), ("given_up", 1)):
        assert f'orderapp_recent_webhooks{{result="{result}"}} {number}.0' in lines
    assert 'orderapp_recent_webhook_seconds{quantile="0.5"} 0.25' in lines
    assert 'orderapp_webhook_endpoints{state="given_up"} 1.0' in lines
    assert 'orderapp_webhook_deliveries{state="pending"} 1.0' in lines


def test_the_servers_connections_are_told(client: FlaskClient) -> None:
    """This role's by state, everybody's as a number, and what is allowed."""
    lines = page(client)
    assert any(line.startswith('orderapp_database_connections{state="active"} ') for line in lines)
    used, most = (
        float(next(line for line in lines if line.startswith(f"orderapp_database_connections_{name} ")).split()[1])
        for name in ("used", "most")
    )
    assert 0 < used < most


def test_a_database_that_is_away_is_a_metric_too(client: FlaskClient) -> None:
    """The page comes all the same, at once, and without numbers that nobody knows."""
    with listening() as wire:
        wire.cut("FROM outbox")
        lines = page(client)
    assert "orderapp_database_up 0.0" in lines
    assert not [line for line in lines if line.startswith("orderapp_outbox")]
    assert not [line for line in page(client) if line.startswith("orderapp_outbox")], "the failure is remembered for a while"
    client.application.extensions.pop("truths")
    assert "orderapp_database_up 1.0" in page(client)


def test_one_look_serves_for_some_seconds(client: FlaskClient) -> None:
    """However many ask."""
    page(client)
    with listening() as wire:
        page(client)
    assert wire.said == []
    client.application.extensions.pop("truths")
    with listening() as wire:
        page(client)
    assert wire.said


@pytest.mark.settings(**TOKEN)
def test_strangers_are_refused_and_the_token_opens(client: FlaskClient) -> None:
    """From another machine; a proxy on this one is another machine."""
    assert client.get("/metrics").status_code == 200
    answer = client.get("/metrics", environ_overrides=ELSEWHERE)
    assert (answer.status_code, "orderapp_" in answer.text) == (403, False)
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 403
    bearer = {"Authorization": f"Bearer {TOKEN['METRICS_TOKEN']}"}
    assert client.get("/metrics", environ_overrides=ELSEWHERE, headers=bearer).status_code == 200


@pytest.mark.settings(TRUSTED_PROXIES="1")
def test_what_a_trusted_proxy_says_makes_nobody_local(client: FlaskClient) -> None:
    """With one proxy too many in the setting, anybody could say it."""
    forged = {"X-Forwarded-For": "127.0.0.1"}
    assert client.get("/metrics", environ_overrides=ELSEWHERE, headers=forged).status_code == 403
    assert client.get("/metrics", headers=forged).status_code == 403
    assert client.get("/metrics").status_code == 200


@pytest.fixture
def _many(app: Any) -> None:
    """Have 20,000 orders and more, settled long ago, with everything that belongs to them."""
    assert app
    long_ago = "CAST('01000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)"
    sql(f"""SET session_replication_role = replica;
        INSERT INTO orders (client_id, currency, status, total_amount, settled_at)
            SELECT 1, 'USD', 'confirmed', 1, now() - interval '1 day' FROM generate_series(1, 20000);
        INSERT INTO order_events (id, order_id, sequence, type)
            SELECT {long_ago}, n, 1, 'order.placed' FROM generate_series(1, 20000) n;
        INSERT INTO webhook_deliveries (endpoint_id, order_id, event_id, state, rescue_at)
            SELECT 1, n, {long_ago}, 'succeeded', now() FROM generate_series(1, 20000) n;
        INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code)
            SELECT n, 1, now() - interval '1 day', 1, 200 FROM generate_series(1, 20000) n;
        INSERT INTO outbox (queue, task, subject_id) SELECT 'webhooks', 'webhooks.deliver', n FROM generate_series(1, 20000) n;
        SET session_replication_role = DEFAULT;""")
    for table in ("orders", "order_events", "webhook_deliveries", "webhook_attempts", "outbox"):
        sql(f"ANALYZE {table}")


@pytest.mark.usefixtures("_many")
def test_no_table_is_read_from_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a million orders each scrape would take a second, twice every fifteen."""
    monkeypatch.setattr(truths, "MOST", 100)
    with listening() as wire, reading() as session:
        seen = truths.look(session)
    assert [row.due for row in seen.outbox] == [0, 100, 0, 0]
    plans = [(said.statement, plan_of(said)) for said in wire.said if "FROM" in said.statement]
    assert len(plans) == 12
    for statement, plan in plans:
        for node in nodes(plan):
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            assert read <= 1000, (statement, node)


def plan_of(said: Any) -> dict[str, Any]:
    """Return what the statement did."""
    (row,) = sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {said.statement}", **(said.parameters or {}))
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a plan's nodes."""
    return [plan, *(node for below in plan.get("Plans", ()) for node in nodes(below))]
