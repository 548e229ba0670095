"""``flask audit`` as a script and a person see it."""

from collections.abc import Callable

import orjson
import pytest
from click.testing import Result
from flask.testing import FlaskCliRunner

from orderapp.orders.processing import process_orders
from tests.monitoring.conftest import Plant
from tests.monitoring.every_state import ENDPOINT, every_state
from tests.orders.examples import TASK, placed
from tests.sql import one, sql

pytestmark = pytest.mark.settings(**ENDPOINT)

Make = Callable[..., int]


def run(runner: FlaskCliRunner, *options: str) -> Result:
    """Run the command."""
    return runner.invoke(args=["audit", *options])


def test_a_consistent_database_is_said_to_be_so(runner: FlaskCliRunner, a_product: Make) -> None:
    """In words, with code 0, and without a bar where no terminal is."""
    orders = len(every_state(a_product)) - 2
    first, second = run(runner), run(runner)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.startswith(f"No violation.\nconsistent: {orders} order(s) in all and every product's stock, in ")
    assert "changed since the clean run of 20" in second.stdout
    assert "UTC" in second.stdout
    assert first.stderr == ""


def test_a_script_gets_json(runner: FlaskCliRunner, a_product: Make, plant: Plant) -> None:
    """One document, whatever was found."""
    ids = every_state(a_product)
    plant(f"UPDATE orders SET total_amount = 1 WHERE id = {ids['confirmed']}")
    result = run(runner, "--json", "--full")
    report = orjson.loads(result.stdout)
    assert (result.exit_code, report["consistent"], report["since"], report["notices"]) == (1, False, None, [])
    (violation,) = report["violations"]
    sentence = violation.pop("sentence")
    assert violation == {"name": "total_not_lines", "subject": "order", "count": 1, "ids": [ids["confirmed"]]}
    assert sentence.endswith("only a confirmed order has a total.")


def test_a_person_reads_what_is_wrong_and_what_to_do(runner: FlaskCliRunner, a_product: Make, plant: Plant) -> None:
    """A row per kind, then the verdict; code 1."""
    ids = every_state(a_product)
    plant("UPDATE orders SET webhook_sent = NOT webhook_sent")
    plant("UPDATE outbox SET parked_at = now(), error = 'x'")
    result = run(runner)
    assert result.exit_code == 1
    for word in (
        "webhook_sent_wrong",
        "outbox_parked",
        "warning",
        str(ids["told"]),
        "webhook_sent_wrong: webhook_sent does not say",
        "NOT consistent",
    ):
        assert word in result.stdout


def test_what_cannot_run_is_not_taken_for_a_violation(runner: FlaskCliRunner) -> None:
    """Code 2 and one line: the tables are missing, or the database is away."""
    sql("ALTER TABLE audit_runs RENAME TO mislaid")
    result = run(runner)
    sql("ALTER TABLE mislaid RENAME TO audit_runs")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == 'The audit could not run: relation "audit_runs" does not exist\n'


@pytest.mark.settings(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
def test_a_database_that_is_away_is_code_2(runner: FlaskCliRunner) -> None:
    """As above."""
    result = run(runner)
    assert result.exit_code == 2
    assert "could not run" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_option_is_code_2_as_well(runner: FlaskCliRunner) -> None:
    """Click's own; nothing was looked at either."""
    assert run(runner, "--overdue", "0").exit_code == 2


def test_an_operator_says_since_when_there_is_an_endpoint(runner: FlaskCliRunner, a_product: Make, plant: Plant) -> None:
    """Once: the clean run remembers it."""
    ids = every_state(a_product)
    plant(f"DELETE FROM webhook_deliveries WHERE order_id = {ids['failed']}")
    plant("UPDATE order_events SET occurred_at = occurred_at - interval '1 hour'")
    assert run(runner).exit_code == 1
    since = one("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '10 min', 'YYYY-MM-DD\"T\"HH24:MI:SS')")
    assert run(runner, "--webhooks-since", since).exit_code == 0
    assert run(runner).exit_code == 0
    assert run(runner, "--full").exit_code == 0


def test_outcomes_from_before_the_first_delivery_need_none(runner: FlaskCliRunner, a_product: Make, plant: Plant) -> None:
    """The endpoint is younger than the shop."""
    every_state(a_product)
    plant("DELETE FROM webhook_deliveries WHERE order_id < (SELECT max(order_id) FROM webhook_deliveries)")
    plant("UPDATE orders SET webhook_sent = false")
    assert run(runner).exit_code == 0


@pytest.mark.settings(WEBHOOK_URL="")
def test_without_an_endpoint_no_delivery_is_missing(runner: FlaskCliRunner, a_product: Make) -> None:
    """Nobody asked for one."""
    ids = every_state_untold(a_product)
    assert ids
    result = run(runner)
    assert result.exit_code == 0, result.output


@pytest.mark.settings(WEBHOOK_SECRET=ENDPOINT["WEBHOOK_SECRET"])
def test_an_endpoint_that_heard_nothing_is_mentioned(runner: FlaskCliRunner, a_product: Make, plant: Plant) -> None:
    """It may be new; or fan-out does not work at all."""
    every_state(a_product)
    plant("DELETE FROM webhook_deliveries")
    plant("UPDATE orders SET webhook_sent = false")
    result = run(runner)
    assert result.exit_code == 0
    assert "nobody_was_told" in result.stdout


def every_state_untold(a_product: Make) -> list[int]:
    """Return orders that were settled without an endpoint."""
    product_id = a_product(stock=1)
    ids = [placed((product_id, 1)) for _ in range(3)]
    process_orders(ids, TASK)
    return ids
