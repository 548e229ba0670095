"""``flask drill``: on real servers, with its verdict, without a trace; and what it says where it could not be held."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from orderapp.drill import rehearsing
from orderapp.drill.scratch import PREFIX
from tests.servers import postgres
from tests.servers.environment import NOBODY
from tests.servers.others import UNPOOLED
from tests.servers.processes import Processes
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import free_port, wait_until

# Seconds: eight processes start twice on a busy machine, and orders of a killed worker wait for their lease.
DRILLED = 240

DATABASES = "SELECT count(*) FROM pg_database WHERE datname LIKE %s"


def _databases(url: str) -> int:
    with postgres.administrate(url) as cursor:
        cursor.execute(DATABASES, [f"{PREFIX}%"])
        return int(cursor.fetchone()[0])


@pytest.mark.proof
@pytest.mark.rabbitmq
def test_a_drill_kills_loses_nothing_and_leaves_nothing(processes: Processes, database: str, tmp_path: Path) -> None:
    """The service's own tables, queues and receivers are not touched, also where files name them, which come before values."""
    port = free_port()
    node = RabbitNode(tmp_path / "rabbitmq", management_port=port)
    node.start()
    try:
        options = ("--seconds", "12", "--rate", "5", "--every", "2", "--seed", "1", "--management", f"http://127.0.0.1:{port}")
        real = {"DATABASE_URL": database, "CELERY_BROKER_URL": node.url(), "WEBHOOK_URL": "https://example.com/never"}
        folder = {"TMPDIR": str(tmp_path)}
        for name, value in real.items():
            (tmp_path / name).write_text(value)
            folder |= {name: "", f"{name}_FILE": str(tmp_path / name)}
        drill = processes.start(
            "drill", "flask", "drill", "--json", *options, **folder, WEBHOOK_SECRET="whsec_" + "c2VjcmV0" * 6
        )
        wait_until(lambda: drill.exit_code is not None, DRILLED, f"the drill's end, not: {drill.text}")
        found = orjson.loads(drill.text.strip().splitlines()[-1])
        assert (drill.exit_code, found["good"], found["violations"]) == (0, True, [])
        assert found["kills"] >= 4
        assert found["accepted"] + found["unanswered"] == 60
        assert (found["lost"], found["open"]) == (0, 0)
        assert node.ctl("list_vhosts", "--no-table-headers").split() == ["/"]
        assert node.ctl("list_queues", "--no-table-headers").split() == []
    finally:
        node.destroy()
    assert _databases(database) == 0
    assert list(tmp_path.glob(f"{PREFIX}*")) == []
    with postgres.administrate(database) as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM products)")
        assert cursor.fetchone() == (0,)


@pytest.fixture
def poor_role(migrated_database: str) -> Iterator[str]:
    """Give a role that may do nothing but log in."""
    with postgres.administrate(migrated_database) as cursor:
        cursor.execute("CREATE ROLE drill_poor LOGIN")
    yield "drill_poor"
    with postgres.administrate(migrated_database) as cursor:
        cursor.execute("DROP ROLE drill_poor")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have temporary folders made below this one."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@UNPOOLED
def test_without_the_right_to_create_databases_it_says_which_is_needed(
    runner: FlaskCliRunner, app: Flask, poor_role: str, database: str, temporary: Path
) -> None:
    """In one line, with code 2; a verdict would be 0 or 1."""
    url = psycopg2.extensions.parse_dsn(database) | {"user": poor_role}
    settings = app.extensions["settings"]
    query = "&".join(f"{name}={value}" for name, value in url.items())
    app.extensions["settings"] = type("Poor", (), {**vars(settings), "database_url": f"postgresql+psycopg2:///?{query}"})
    result = runner.invoke(args=["drill"])
    assert result.exit_code == 2
    assert "permission denied to create database" in result.stderr
    assert "CREATEDB" in result.stderr
    assert "Traceback" not in result.output
    assert list(temporary.glob(f"{PREFIX}*")) == []


@pytest.mark.settings(CELERY_BROKER_URL=NOBODY)
def test_without_a_management_api_it_says_so_and_leaves_no_database(
    runner: FlaskCliRunner, database: str, temporary: Path
) -> None:
    """AMQP itself can make no virtual host."""
    result = runner.invoke(args=["drill", "--management", "http://127.0.0.1:9"])
    assert result.exit_code == 2
    assert "no answer at http://127.0.0.1:9" in result.stderr
    assert "administrator" in result.stderr
    assert _databases(database) == 0
    assert list(temporary.glob(f"{PREFIX}*")) == []


def test_it_is_not_held_in_production(runner: FlaskCliRunner, app: Flask) -> None:
    """It would take processor time and connections from who works there."""
    app.extensions["settings"] = type("Production", (), {**vars(app.extensions["settings"]), "app_env": "production"})
    result = runner.invoke(args=["drill"])
    assert (result.exit_code, "production" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("good", "violations"), [(False, []), (True, [{"name": "stock", "sentence": "Stock is not its ledger."}])]
)
def test_a_bad_verdict_is_code_1(
    runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch, good: bool, violations: list[dict[str, str]]
) -> None:
    """Whether the simulation or the audit found it; and it is said in words."""
    orders = dict.fromkeys(("accepted", "unanswered", "lost", "confirmed", "failed", "open", "conserved"), 1) | {"good": good}
    verdict = rehearsing.Verdict(kills=3, orders=orders, violations=violations)
    monkeypatch.setattr(rehearsing, "rehearse", lambda *_: verdict)
    result = runner.invoke(args=["drill", "--seed", "7"])
    assert result.exit_code == 1
    assert "NOT good; --seed 7 repeats it." in result.stdout
    assert all(one["sentence"] in result.stdout for one in violations)
