"""Alert rules and dashboards: each alert fires, ends and has its section in the runbook; all ask for what is exported."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

import config
from orderapp import telemetry
from orderapp.orders.processing import process_orders
from tests.orders.examples import TASK, placed
from tests.servers import debian
from tests.sql import sql

HOME = config.ROOT / "deploy/monitoring"

RULES: list[dict[str, Any]] = yaml.safe_load((HOME / "alerts.yml").read_text())["groups"][0]["rules"]

NAMES = sorted({rule["alert"] for rule in RULES})

DASHBOARDS = sorted((HOME / "grafana/dashboards").glob("*.json"))


@dataclass(frozen=True)
class Case:
    """Series, one value a minute: when the alert is still silent, when it fires and with which labels, when it has ended."""

    series: dict[str, str]
    silent: str
    fires: str
    ends: str
    labels: dict[str, str] = field(default_factory=dict)


WEB = 'job="web",instance="a"'

# In the first of two instances only: one is enough to see what PostgreSQL knows.
CASES: dict[str, Case] = {
    **{
        f"ProcessDown {job}": Case({f'up{{job="{job}",instance="a"}}': "1x4 0x9 1x9"}, "5m", "7m", "15m", {"job": job})
        for job in ("web", "relay", "worker", "webhook_worker", "beat")
    },
    "DatabaseUnreachable": Case({f"orderapp_database_up{{{WEB}}}": "1x4 0x9 1x9"}, "4m", "6m", "15m"),
    "ConnectionsRunOut": Case(
        {
            f"orderapp_database_connections_used{{{WEB}}}": "80x4 81x9 20x9",
            f"orderapp_database_connections_most{{{WEB}}}": "100x30",
        },
        *("6m", "8m", "15m"),
    ),
    "RequestsFail": Case(
        {
            f'orderapp_request_seconds_count{{{WEB},route="/api/orders/",status="201"}}': "0+600x40",
            f'orderapp_request_seconds_count{{{WEB},route="/api/orders/",status="503"}}': "0x9 0+20x9 180x25",
            f'orderapp_request_seconds_count{{{WEB},route="/health/ready/",status="503"}}': "0+600x40",
        },
        *("9m", "16m", "30m"),
    ),
    "OrdersTakenSlowly": Case(
        {
            f'orderapp_request_seconds_bucket{{{WEB},route="/api/orders/",method="POST",le="0.25"}}': "0x15 0+100x30",
            f'orderapp_request_seconds_bucket{{{WEB},route="/api/orders/",method="POST",le="0.5"}}': "0+100x45",
            f'orderapp_request_seconds_bucket{{{WEB},route="/api/orders/",method="POST",le="+Inf"}}': "0+100x45",
        },
        *("5m", "12m", "30m"),
    ),
    "BrokerUnreachable": Case(
        {
            'orderapp_broker_reachable{job="relay",process="relay"}': "1x4 0x25",
            f'orderapp_outbox_messages{{{WEB},queue="orders",state="due"}}': "0x9 5x9 0x9",
            f'orderapp_outbox_messages{{{WEB},queue="orders",state="later"}}': "9x30",
        },
        *("9m", "11m", "20m"),
    ),
    "OutboxStuck": Case(
        {f'orderapp_outbox_oldest_seconds{{{WEB},queue="orders"}}': "30x4 31x9 0x9"}, "5m", "7m", "15m", {"queue": "orders"}
    ),
    "MessagesParked": Case(
        {f'orderapp_outbox_messages{{{WEB},queue="webhooks",state="parked"}}': "0x4 1x9 0x9"},
        *("4m", "5m", "15m"),
        {"queue": "webhooks"},
    ),
    "DeadLetters": Case({'orderapp_broker_messages{job="worker",queue="orderapp.dead"}': "0x4 1x9 0x9"}, "4m", "5m", "15m"),
    "BeatSilent": Case(
        {'orderapp_last_tick_timestamp_seconds{job="beat",process="beat"}': "0+60x4 240x9 900+60x9"}, "5m", "6m", "16m"
    ),
    "OrdersOverdue": Case({f'orderapp_orders{{{WEB},state="overdue"}}': "0x4 3x9 0x9"}, "5m", "7m", "15m"),
    "OrdersSettleSlowly": Case(
        {f'orderapp_recent_settle_seconds{{{WEB},quantile="0.95"}}': "30x4 31x9 1x9"}, "7m", "9m", "15m"
    ),
    "OrdersRescued": Case({'orderapp_rescued_total{job="worker",what="orders"}': "0x4 0+1x25 25x20"}, "19m", "22m", "40m"),
    "WebhooksFail": Case(
        {
            f'orderapp_recent_webhooks{{{WEB},result="received"}}': "10x4 10x20 10x9",
            f'orderapp_recent_webhooks{{{WEB},result="refused"}}': "5x4 6x20 5x9",
            f'orderapp_recent_webhooks{{{WEB},result="unreachable"}}': "5x4 6x20 5x9",
            f'orderapp_recent_webhooks{{{WEB},result="given_up"}}': "0x40",
        },
        *("14m", "17m", "30m"),
    ),
    "WebhooksOverdue": Case({f'orderapp_webhook_deliveries{{{WEB},state="overdue"}}': "0x4 3x9 0x9"}, "6m", "8m", "15m"),
    "WebhookGivenUp": Case({f'orderapp_recent_webhooks{{{WEB},result="given_up"}}': "0x4 1 0x90"}, "4m", "50m", "67m"),
    "EndpointRests": Case({f'orderapp_webhook_endpoints{{{WEB},state="resting"}}': "0x4 1x20 0x9"}, "19m", "21m", "30m"),
    "EndpointGivenUp": Case({f'orderapp_webhook_endpoints{{{WEB},state="given_up"}}': "0x4 1x9 0x9"}, "4m", "5m", "15m"),
}


@pytest.fixture(scope="module")
def promtool() -> str:
    """Return the program; without it these tests are skipped, or fail where CI is to miss nothing."""
    try:
        return debian.promtool()
    except debian.MissingPackageError as error:
        return pytest.fail(str(error)) if os.environ.get("CI") == "true" else pytest.skip(str(error))


def ruled(name: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return the rule of an alert; of several, the one with this job."""
    return next(rule for rule in RULES if rule["alert"] == name and rule["labels"].get("job") in {None, labels.get("job")})


def as_promtool_takes_it(title: str, case: Case) -> dict[str, Any]:
    """Return one unit test: silent, firing, silent again."""
    name = title.partition(" ")[0]
    rule = ruled(name, case.labels)
    fired = {"exp_labels": {**rule["labels"], **case.labels}, "exp_annotations": rule["annotations"]}
    others = [one["labels"]["job"] for one in RULES if one["alert"] == name and "job" in one["labels"]]
    beside = [
        {"series": f'up{{job="{job}",instance="a"}}', "values": "1x90"} for job in others if job != case.labels.get("job")
    ]
    return {
        "name": title,
        "interval": "1m",
        "input_series": [*({"series": one, "values": values} for one, values in case.series.items()), *beside],
        "alert_rule_test": [
            {"alertname": name, "eval_time": case.silent, "exp_alerts": []},
            {"alertname": name, "eval_time": case.fires, "exp_alerts": [fired]},
            {"alertname": name, "eval_time": case.ends, "exp_alerts": []},
        ],
    }


def run(promtool: str, *arguments: str | Path) -> str:
    """Run it; returns what it said. Fails with it when it found a fault."""
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_alert_fires_when_it_should_and_ends(promtool: str, tmp_path: Path) -> None:
    """Not before the time that it allows, not after the cause is gone; with the labels that say whose it is."""
    tests = [as_promtool_takes_it(title, case) for title, case in CASES.items()]
    file = tmp_path / "alerts.test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(HOME / "alerts.yml")], "evaluation_interval": "15s", "tests": tests}))
    assert "SUCCESS" in run(promtool, "test", "rules", file)


def test_no_alert_is_left_untested() -> None:
    """A rule that nobody has seen fire may be one that cannot."""
    rules = sorted(f"{rule['alert']} {rule['labels'].get('job', '')}".strip() for rule in RULES)
    assert sorted(CASES) == rules


def test_prometheus_takes_the_files(promtool: str) -> None:
    """Rules and configuration."""
    run(promtool, "check", "rules", HOME / "alerts.yml")
    run(promtool, "check", "config", "--syntax-only", HOME / "prometheus.yml")


def test_each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() -> None:
    """Whoever is woken up finds what to look at and what to do, under the link that the alert shows."""
    page = (config.ROOT / "docs/runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == NAMES
    for name, section in sections.items():
        assert "\n- Look: " in section, name
        assert "\n- Do: " in section, name
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"].endswith(".")


def expressions() -> list[str]:
    """Return every query of rules and dashboards."""
    panels = [panel for file in DASHBOARDS for panel in json.loads(file.read_text())["panels"]]
    return [*(rule["expr"] for rule in RULES), *(target["expr"] for panel in panels for target in panel["targets"])]


def exported(page: str) -> dict[str, set[str]]:
    """Return the names on a page of metrics, each with the labels of its series."""
    names: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", page, re.MULTILINE):
        names.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return names


@pytest.mark.settings(METRICS_TOKEN="x" * 16)
def test_every_metric_that_rules_and_dashboards_ask_for_is_exported(client: FlaskClient, every_number: None) -> None:
    """Under this name and with these labels: a query for what nobody exports is silent for ever."""
    assert every_number is None
    client.get("/metrics")  # a request is counted when it is answered: the first page does not know itself
    names = exported(client.get("/metrics").text)
    asked = {one for query in expressions() for one in re.findall(r"(orderapp_\w+)(?:\{([^}]*)\})?", query)}
    assert len(asked) > 20
    for name, matchers in asked:
        assert name in names
        assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers)) <= names[name], name
    grouped = {word for query in expressions() for words in re.findall(r"by \(([^)]*)\)", query) for word in words.split(", ")}
    assert grouped <= set().union(*names.values()) | {"instance", "alertname"}


@pytest.fixture
def every_number(a_product: Any) -> None:
    """Have each instrument used once, by the functions that the product calls, and something of everything in the database."""
    process_orders([placed((a_product(), 1))], TASK)
    sql("""INSERT INTO webhook_deliveries (endpoint_id, ping_id, rescue_at) VALUES (1, gen_random_uuid(), now())""")
    sql("""INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code)
        VALUES (1, 1, now(), 20, 200)""")
    with telemetry.timing_task("orders.process"):
        telemetry.note_window("orders", [1], 0.01)
    telemetry.note_broker("relay", reachable=True)
    telemetry.note_rescued("orders", 1)
    telemetry.note_queue("orders", 0)
    telemetry.note_tick("beat")
