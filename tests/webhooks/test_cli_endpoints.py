"""``flask webhooks`` about endpoints and sending again: each command once as it should be, and each fault in words."""

import json
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from tests.sql import one

from . import SECRET
from .conftest import Factory, Sql

URL = "https://shop.example/hook"

pytestmark = pytest.mark.settings(WEBHOOK_URL="https://receiver.example/", WEBHOOK_SECRET=SECRET)


class Webhooks:
    """An operator at a terminal."""

    def __init__(self, app: Flask) -> None:
        self._runner = app.test_cli_runner()

    def run(self, *words: Any) -> Result:
        """Type a command of ``flask webhooks``."""
        return self._runner.invoke(args=["webhooks", *map(str, words)], env={"COLUMNS": "250"})

    def done(self, *words: Any) -> str:
        """Type a command that must work; return what it prints."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, *words: Any) -> str:
        """Type a command that must be refused; return the fault, without the usage above it."""
        result = self.run(*words)
        assert result.exit_code in (1, 2), result.output
        assert "Traceback" not in result.output
        return result.output.rpartition("Error: ")[2].strip()

    def listed(self) -> list[dict[str, Any]]:
        """Return the endpoints as the list shows them to machines."""
        rows: list[dict[str, Any]] = json.loads(self.done("endpoints", "--json"))
        return rows


@pytest.fixture
def webhooks(app: Flask) -> Webhooks:
    """Give an operator."""
    return Webhooks(app)


@pytest.fixture
def created(webhooks: Webhooks) -> int:
    """Give an endpoint of the operator's."""
    webhooks.done("create", URL)
    return int(webhooks.listed()[-1]["id"])


def test_a_new_endpoint_shows_its_secret_and_is_listed_without_it(webhooks: Webhooks, sql: Sql) -> None:
    """The secret stands alone on standard output, so that a script can catch it."""
    sql("INSERT INTO api_clients (name) VALUES ('Alice')")
    result = webhooks.run("create", URL, "--client", "Alice", "--type", "order.failed", "--description", "hers")
    secret = result.stdout.strip()
    assert secret.startswith("whsec_")
    built_in, hers = webhooks.listed()
    assert (built_in["id"], built_in["url"], built_in["client"]) == (1, "WEBHOOK_URL", None)
    assert (hers["url"], hers["client"], hers["event_types"], hers["description"]) == (URL, "Alice", ["order.failed"], "hers")
    assert f"The secret of endpoint {hers['id']}; it is not shown again" in result.stderr
    shown = webhooks.done("endpoints")
    assert URL in shown
    assert secret not in shown
    assert secret not in webhooks.done("endpoints", "--json")


@pytest.mark.parametrize(("words", "fault"), [
    (["http://shop.example/"], "not reached by https"),
    (["https://127.0.0.1/"], "private"),
    (["shop"], "not a URL of http or https"),
    ([URL, "--client", "Nobody"], "There is no client Nobody."),
    ([URL, "--type", "order.placed"], "'order.placed' is not one of"),
    ([URL, "--description", "x" * 201], "at most 200 printable characters"),
    ([], "Missing argument 'URL'"),
])  # fmt: skip
def test_a_wrong_endpoint_is_refused_in_words(webhooks: Webhooks, words: list[str], fault: str) -> None:
    """And nothing is stored."""
    assert fault in webhooks.refused("create", *words)
    assert len(webhooks.listed()) == 1


def test_a_rotated_secret_is_a_new_one(webhooks: Webhooks, created: int, sql: Sql) -> None:
    """Shown this once; the old one signs beside it."""
    secret = webhooks.run("rotate", created).stdout.strip()
    (row,) = sql("SELECT secret, previous_secret FROM webhook_endpoints WHERE id = :id", id=created)
    assert row.secret == secret != row.previous_secret
    assert "change them there" in webhooks.refused("rotate", 1)


def test_an_endpoint_is_disabled_and_enabled_with_a_reason(webhooks: Webhooks, created: int, sql: Sql) -> None:
    """Twice is refused; the audit log keeps who and why."""
    assert webhooks.done("disable", created, "--reason", "moving") == f"Endpoint {created} is disabled.\n"
    assert webhooks.listed()[-1]["disabled_reason"] == "operator"
    assert webhooks.refused("disable", created) == f"Endpoint {created} is disabled already (operator)."
    assert webhooks.refused("test", created) == f"Endpoint {created} is disabled (operator); enable it first."
    enabled = webhooks.done("enable", created)
    assert f"Endpoint {created} is enabled; what it missed: flask webhooks resend --endpoint {created}" in enabled
    assert webhooks.refused("enable", created) == f"Endpoint {created} is active already."
    entries = sql("SELECT actor, action, reason FROM audit_log WHERE subject_id = :id ORDER BY id", id=created)
    assert [(entry.action, entry.reason) for entry in entries] == [("create", None), ("disable", "moving"), ("enable", None)]
    assert all(entry.actor.startswith("cli:") for entry in entries)


def test_a_ping_names_the_delivery_to_look_at(webhooks: Webhooks, created: int, sql: Sql) -> None:
    """And that shows nothing before it was sent."""
    said = webhooks.done("test", created)
    (row,) = sql("SELECT id FROM webhook_deliveries WHERE endpoint_id = :id", id=created)
    assert said == f"The ping is delivery {row.id}; what came of it: flask webhooks attempts {row.id}\n"
    assert webhooks.done("attempts", row.id) == f"Nothing was sent for delivery {row.id}, or its log was pruned.\n"


def test_attempts_tell_time_status_duration_and_answer(webhooks: Webhooks, a_delivery: Factory, sql: Sql) -> None:
    """For people and for machines."""
    delivery = a_delivery()
    sql("INSERT INTO webhook_attempts (delivery_id, attempt, started_at, duration_ms, status_code, error, answer)"
        " VALUES (:id, 1, now(), 12, 503, 'answered 503: later', 'later')", id=delivery)  # fmt: skip
    assert "answered 503: later" in webhooks.done("attempts", delivery)
    (attempt,) = json.loads(webhooks.done("attempts", delivery, "--json"))
    assert (attempt["attempt"], attempt["status_code"], attempt["duration_ms"], attempt["answer"]) == (1, 503, 12, "later")


@pytest.mark.parametrize("command", ["rotate", "disable", "enable", "test"])
def test_an_endpoint_that_is_not_there_is_named(webhooks: Webhooks, command: str) -> None:
    """So is what is no number."""
    assert webhooks.refused(command, 4711) == "There is no webhook endpoint 4711."
    assert "'one' is not a valid integer" in webhooks.refused(command, "one")


def test_a_resend_by_filter_counts_first(webhooks: Webhooks, a_delivery: Factory, sql: Sql) -> None:
    """Only --yes sends, at the rate; the audit log keeps the filter and who it was."""
    ids = [a_delivery() for _ in range(4)]
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = 'exhausted' WHERE id = ANY(:ids)", ids=ids[:3])
    filters = ("--endpoint", 1, "--state", "exhausted", "--type", "order.confirmed", "--since", "2000-01-31")
    assert webhooks.done("resend", *filters) == "3 deliveries fit; --yes sends them again, 50 a second\n"
    assert one("SELECT count(*) FROM outbox") == 0
    assert webhooks.done("resend", *filters, "--yes", "--rate", 2) == "3 deliveries are due within 2 s\n"
    assert [row.subject_id for row in sql("SELECT subject_id FROM outbox ORDER BY available_at, subject_id")] == ids[:3]
    (entry,) = sql("SELECT actor, before, after FROM audit_log WHERE action = 'resend'")
    assert entry.actor.startswith("cli:")
    assert (entry.before["state"], entry.before["endpoint_id"], entry.after) == ("exhausted", 1, {"sent": 3})


@pytest.mark.parametrize(("filters", "count"), [
    (["--until", "2000-01-31T12:00"], 0), (["--since", "2000-01-31T12:00:00"], 2), (["--order", 4711], 0),
    (["--type", "order.failed"], 0), (["--endpoint", 4711], 0), (["--state", "disabled"], 1),
])  # fmt: skip
def test_each_filter_counts(webhooks: Webhooks, a_delivery: Factory, sql: Sql, filters: list[str], count: int) -> None:
    """Alone."""
    first, second = a_delivery(), a_delivery()
    sql("UPDATE webhook_deliveries SET state = 'exhausted' WHERE id = :id", id=first)
    sql("UPDATE webhook_deliveries SET state = 'disabled' WHERE id = :id", id=second)
    assert webhooks.done("resend", *filters).startswith(f"{count} deliveries fit")
    shown = json.loads(webhooks.done("deliveries", "--json", *filters))
    assert len(shown) == count


@pytest.mark.parametrize(("words", "fault"), [
    ([], "name a delivery, or filters"),
    (["--yes"], "name a delivery, or filters"),
    (["--state", "lost"], "'lost' is not one of"),
    (["--type", "order.placed"], "'order.placed' is not one of"),
    (["--since", "yesterday"], "'yesterday' does not match the formats"),
    (["--order", "x"], "'x' is not a valid integer"),
    (["--state", "exhausted", "--rate", "0"], "0 is not in the range"),
    (["--state", "exhausted", "--rate", "fast"], "'fast' is not a valid integer"),
])  # fmt: skip
def test_a_wrong_resend_is_refused_in_words(webhooks: Webhooks, words: list[str], fault: str) -> None:
    """A misspelt filter must not send everything."""
    assert fault in webhooks.refused("resend", *words)


@pytest.mark.parametrize(("words", "fault"), [
    (["deliveries", "--limit", "0"], "0 is not in the range"),
    (["deliveries", "--until", "31.1."], "'31.1.' does not match the formats"),
    (["attempts", "x"], "'x' is not a valid integer"),
])  # fmt: skip
def test_a_wrong_question_is_refused_in_words(webhooks: Webhooks, words: list[str], fault: str) -> None:
    """The option or argument is named."""
    assert fault in webhooks.refused(*words)
