"""``flask doctor``: each fault is brought about on real servers, named, and comes with what to do; nothing stops the rest."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from orderapp import queues
from orderapp.monitoring import checkup
from orderapp.monitoring.checkup import Finding, one_by_one
from orderapp.outbox.broker import AmqpPublisher
from tests.journeys.messages import Messages
from tests.monitoring.patients import change, examine
from tests.servers.receiver import SECRET
from tests.sql import sql


@pytest.fixture
def declared(broker: str) -> Messages:
    """Give a broker on which a relay has been."""
    publisher = AmqpPublisher(broker)
    publisher.open()
    publisher.close()
    return Messages(broker)


# What only some environments have: a small disk is a fact of the machine, not of the service.
OF_THE_MACHINE = {"database disk"}


def test_a_well_installation_has_no_fault(runner: FlaskCliRunner, declared: Messages) -> None:
    """Every check has something to say, and code 0."""
    assert declared
    found = examine(runner, code=0)
    assert {name for name, (state, *_) in found.items() if state != "ok"} <= {"secrets"} | OF_THE_MACHINE
    asked = {"database", "migration", "clock", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"}
    asked |= {"connections", "autovacuum", "database disk", "broker", "confirms", "management", "mode", "webhooks"}
    assert asked | {f"queue {name}" for name in (*queues.QUEUE_NAMES, queues.DEAD_QUEUE)} <= found.keys()
    assert found["broker"][1].startswith("RabbitMQ ")
    assert "returned and confirmed in" in found["confirms"][1]


def test_a_person_reads_a_table_and_a_sum(runner: FlaskCliRunner, declared: Messages) -> None:
    """The same findings in words."""
    assert declared
    result = runner.invoke(args=["doctor"])
    assert "migration" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("0 fault(s), ")


def test_the_doctor_leaves_nothing_behind(runner: FlaskCliRunner, broker: str) -> None:
    """No queue is declared, and the probe finds none; missing queues are a warning, for the relay will declare them."""
    found = examine(runner, code=0)
    assert found["queue orders"] == ("warning", "not there yet", "start the relay: it declares all with its first message")
    with Messages(broker)._channel() as channel, pytest.raises(Exception, match="no queue 'orders'"):
        channel.queue_declare("orders", passive=True)


def declare(messages: Messages, name: str, **arguments: Any) -> None:
    """Declare a queue as somebody else would."""
    with messages._channel() as channel:
        channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)


def right_arguments(**changes: Any) -> dict[str, Any]:
    """Return the arguments of a work queue, changed; None takes one away."""
    changed = {**queues.work_queues()[0].queue_arguments, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return {name: value for name, value in changed.items() if value is not None}


def test_queues_that_were_declared_otherwise_are_named_with_the_difference(runner: FlaskCliRunner, broker: str) -> None:
    """The wrong type, no dead-letter wiring, a limit that kills: each in the broker's own words."""
    messages = Messages(broker)
    declare(messages, "orders", **right_arguments(x_queue_type="classic", x_delivery_limit=None))
    declare(messages, "webhooks", **right_arguments(x_dead_letter_exchange=None, x_dead_letter_routing_key=None))
    declare(messages, "maintenance", **right_arguments(x_delivery_limit=3))
    found = examine(runner, code=1)
    for queue, argument in {"orders": "arg 'x-", "webhooks": "x-dead-letter-", "maintenance": "x-delivery-limit"}.items():
        state, words, remedy = found[f"queue {queue}"]
        assert (state, argument in words, "delete it" in remedy) == ("fault", True, True), words
    assert found["confirms"][0] == "ok"


def test_dead_letters_and_a_queue_without_a_worker_are_mentioned(runner: FlaskCliRunner, declared: Messages) -> None:
    """Neither is a fault of the installation; both want somebody."""
    declared.publish(queues.DEAD_QUEUE, b"{}")
    declared.publish("webhooks", b"{}")

    found = examine(runner, code=0)
    assert found[f"queue {queues.DEAD_QUEUE}"] == ("warning", "1 message(s), 0 consumer(s)", "see why: flask outbox dead")
    assert found["queue webhooks"][0] == "warning"
    assert "-Q webhooks" in found["queue webhooks"][2]


def test_a_broker_that_is_away_hides_no_other_finding(runner: FlaskCliRunner) -> None:
    """One fault, not one per queue; and the password is not shown."""
    found = examine(runner, code=1)
    state, words, remedy = found["broker"]
    assert (state, words.startswith("not reachable at 127.0.0.1:9: "), "start RabbitMQ" in remedy) == ("fault", True, True)
    assert not {"queue orders", "confirms"} & found.keys()
    assert found["migration"][0] == "ok"


@pytest.mark.settings(DATABASE_URL="postgresql://nobody:secret-word@127.0.0.1:9/nothing")
def test_a_database_that_is_away_hides_no_other_finding(runner: FlaskCliRunner, declared: Messages) -> None:
    """As above."""
    assert declared
    found = examine(runner, code=1)
    assert found["database"][0] == "fault"
    assert "secret-word" not in str(found)
    assert not {"migration", "clock"} & found.keys()
    assert found["confirms"][0] == "ok"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_broker_that_swallows_everything_is_a_fault_in_seconds(
    runner: FlaskCliRunner, silent_port: int, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall that drops packets must not hang the one who looks for it."""
    monkeypatch.setattr(checkup, "DEADLINE", 1)
    change(app, celery_broker_url=f"amqp://guest:guest@127.0.0.1:{silent_port}//")
    begin = time.monotonic()
    found = examine(runner, "--management", f"http://127.0.0.1:{silent_port}", code=1)
    assert found["broker"][:2] == ("fault", "no answer within 1 s")
    assert time.monotonic() - begin < 20


def test_a_check_that_hangs_or_breaks_stops_no_other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it found before is told; then come the others."""
    never = threading.Event()

    def hangs() -> Iterator[Finding]:
        yield checkup.ok("hangs", "so far")
        never.wait()

    def breaks() -> Iterator[Finding]:
        yield checkup.ok("breaks", "so far")
        raise LookupError("two\nlines")

    checks: list[checkup.Check] = [hangs, breaks, lambda: iter([checkup.ok("fine", "")])]
    monkeypatch.setattr(checkup, "DEADLINE", 0.2)
    found = list(one_by_one(app, zip("abc", checks, strict=True)))
    never.set()
    assert [(one.check, one.state, one.found) for one in found] == [
        ("hangs", "ok", "so far"),
        ("a", "fault", "no answer within 0.2 s"),
        ("breaks", "ok", "so far"),
        ("b", "fault", "the check failed: two"),
        ("fine", "ok", ""),
    ]


@pytest.mark.settings(EVENTS_EXCHANGE="shop.events")
def test_an_exchange_of_another_kind_is_a_fault(runner: FlaskCliRunner, declared: Messages) -> None:
    """Bindings by type would not do what they say. One that is missing is declared by the relay."""
    missing = examine(runner, code=0)["exchange shop.events"]
    with declared._channel() as channel:
        channel.exchange_declare("shop.events", "fanout", durable=True, auto_delete=False)
    state, words, _ = examine(runner, code=1)["exchange shop.events"]
    assert missing[0] == "warning"
    assert (state, "'fanout'" in words) == ("fault", True)


# Settings


@pytest.mark.settings(CELERY_BROKER_URL="amqp://guest:guest@broker.invalid:5672//", FAILPOINTS="/tmp/passages")
def test_default_secrets_are_named_and_none_is_shown(runner: FlaskCliRunner) -> None:
    """Fine on a laptop; production would not have started."""
    result = runner.invoke(args=["doctor", "--json"])
    rows = [row for row in orjson.loads(result.stdout) if row["check"] in {"secrets", "mode"}]
    said = " ".join(row["found"] for row in rows)
    assert {row["state"] for row in rows} == {"warning"}
    for words in ("SECRET_KEY is unset, a default", "CELERY_BROKER_URL carries a default password", "FAILPOINTS is set"):
        assert words in said
    assert "guest:guest" not in result.stdout
    assert "development-only-secret-key" not in result.stdout


@pytest.mark.settings(SECRET_KEY="5f" * 32)
def test_secrets_of_ones_own_are_fine(runner: FlaskCliRunner) -> None:
    """Nothing to do."""
    assert examine(runner, code=1)["secrets"] == ("ok", "none is a default", "")


def test_the_file_broker_is_known_for_what_it_is(runner: FlaskCliRunner, app: Flask, tmp_path: Path) -> None:
    """Try-it mode: a warning, and no question about queues that do not exist there."""
    change(app, celery_broker_url=f"filesystem://{tmp_path}")
    found = examine(runner, code=0)
    assert found["mode"][0] == "warning"
    assert "file broker" in found["mode"][1]
    assert "broker" not in found


# The way out


def endpoint_at(url: str) -> None:
    """Register an active endpoint of the operator's, whatever its URL."""
    sql(
        "INSERT INTO webhook_endpoints (url, secret, event_types, description) VALUES (%(url)s, %(secret)s, %(types)s, '')",
        url=url,
        secret=SECRET,
        types=["order.confirmed"],
    )


@pytest.mark.settings(WEBHOOK_URL="https://127.0.0.1:9/hook", WEBHOOK_SECRET=SECRET)
def test_a_receiver_to_which_nothing_is_sent_is_a_fault(runner: FlaskCliRunner) -> None:
    """A private address that is not allowed: every webhook there fails, and the setting that helps is named."""
    state, words, _ = examine(runner, code=1)["webhooks to https://127.0.0.1:9"]
    assert state == "fault"
    assert "WEBHOOK_ALLOWED_HOSTS" in words


@pytest.mark.settings(
    WEBHOOK_URL="http://127.0.0.1:9/secret-path", WEBHOOK_SECRET=SECRET, WEBHOOK_ALLOWED_HOSTS="127.0.0.1:9,localhost:9"
)
def test_when_no_receiver_can_be_reached_the_way_out_is_at_fault(runner: FlaskCliRunner) -> None:
    """All of them: a firewall. The URL's path may be a secret."""
    endpoint_at("http://localhost:9/other")
    found = examine(runner, code=1)
    assert found["webhooks to http://127.0.0.1:9"][0] == found["webhooks to http://localhost:9"][0] == "fault"
    assert "secret-path" not in str(found)
