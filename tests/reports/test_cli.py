"""``flask reports``."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from flask.testing import FlaskCliRunner

from tests.reports.examples import Sample, a_shop, days_from, insert, noon, recomputed, stored
from tests.sql import sql

DAY = date(2025, 7, 1)

MONTH = ["--from", "2025-07-01", "--to", "2025-07-31"]


@pytest.fixture(autouse=True)
def _three_days_of_orders(runner: FlaskCliRunner) -> None:
    assert runner
    a_shop()
    insert([*(Sample(noon(day)) for day in days_from(DAY, 3)), Sample(noon(DAY), "cancelled")])


def summarise(runner: FlaskCliRunner, *arguments: str) -> str:
    """Run ``flask reports summarise``."""
    result = runner.invoke(args=["reports", "summarise", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_one_day_is_summarised_by_hand(runner: FlaskCliRunner) -> None:
    """Again as often as one likes."""
    for _ in range(2):
        assert summarise(runner, "2025-07-01").startswith("1 day(s) summarised")
    assert stored() == recomputed("UTC", [DAY])


@pytest.mark.settings(REPORT_TIMEZONE="Pacific/Auckland")
def test_days_are_summarised_anew_in_another_time_zone(runner: FlaskCliRunner) -> None:
    """Noon in UTC is the next day there: what one does after REPORT_TIMEZONE was changed."""
    assert summarise(runner, "2025-07-01", "--to", "2025-07-04").startswith("4 day(s) summarised")
    assert stored() == recomputed("Pacific/Auckland", days_from(DAY, 4))
    assert stored()[DAY, "USD"]["orders"] == 0


@pytest.mark.parametrize(
    "arguments",
    [["2025-07-02", "--to", "2025-07-01"], ["yesterday"], ["1999-01-01"], []],
    ids=["backwards", "word", "old", "none"],
)
def test_days_that_cannot_be_summarised_are_refused(runner: FlaskCliRunner, arguments: list[str]) -> None:
    """With what would be right."""
    result = runner.invoke(args=["reports", "summarise", *arguments])
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert stored() == {}


def test_tomorrow_cannot_be_summarised(runner: FlaskCliRunner) -> None:
    """Today can, for a first look."""
    now = datetime.now(UTC)
    assert runner.invoke(args=["reports", "summarise", (now + timedelta(days=1)).date().isoformat()]).exit_code == 1


def test_json_has_every_column(runner: FlaskCliRunner) -> None:
    """Money as text, as in the API."""
    summarise(runner, "2025-07-01", "--to", "2025-07-03")
    rows = json.loads(runner.invoke(args=["reports", "daily", *MONTH, "--json"]).output)
    assert [row["day"] for row in rows] == ["2025-07-01", "2025-07-02", "2025-07-03"]
    assert rows[0].pop("summarised_at")
    assert rows[0] == {
        "day": "2025-07-01",
        "currency": "USD",
        "orders": 2,
        "items": 1,
        "revenue": "10.00",
        "failed": 0,
        "cancelled": 1,
        "average": "10.00",
        "top_products": [{"product_id": 1, "name": "Product 1", "units": 1, "revenue": "10.00"}],
    }


def test_csv_reads_back_as_the_same_rows(runner: FlaskCliRunner) -> None:
    """A heading, one line per row, whatever the products are called; headings only when there is nothing."""
    sql("UPDATE products SET name = %(name)s WHERE id = 1", name='=1+1, "quoted"')
    summarise(runner, "2025-07-01")
    text = runner.invoke(args=["reports", "daily", *MONTH, "--csv"]).output
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["day"], row["orders"], row["revenue"]) == ("2025-07-01", "2", "10.00")
    assert json.loads(row["top_products"])[0]["name"] == '=1+1, "quoted"'
    assert not any(cell.startswith("=") for cell in row.values())

    nothing = runner.invoke(args=["reports", "daily", "--from", "2024-01-01", "--to", "2024-01-02", "--csv"]).output
    assert nothing.splitlines() == ["day,currency,orders,items,revenue,failed,cancelled,average,top_products,summarised_at"]


def test_the_table_shows_names_as_they_are(runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are no colours."""
    monkeypatch.setenv("COLUMNS", "200")
    sql("UPDATE products SET name = 'Lamp [/red]' WHERE id = 1")
    summarise(runner, "2025-07-01")
    output = runner.invoke(args=["reports", "daily", *MONTH]).output
    assert "Lamp [/red] (1)" in output
    assert "10.00" in output


def test_a_month_without_summaries_says_so(runner: FlaskCliRunner) -> None:
    """No empty table."""
    assert runner.invoke(args=["reports", "daily"]).output == "No day of these is summarised yet.\n"


def test_days_the_wrong_way_round_name_the_option(runner: FlaskCliRunner) -> None:
    """Exit code 2, as for any wrong option."""
    result = runner.invoke(args=["reports", "daily", "--from", "2025-07-02", "--to", "2025-07-01"])
    assert result.exit_code == 2
    assert "--from" in result.output
