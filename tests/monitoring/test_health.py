"""Alive, and ready to take orders."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

import heartbeat
from config import Settings, psycopg2_url
from heartbeat import health
from orderapp import create_app
from orderapp.monitoring import queries
from tests.sql import sql
from tests.wire import listening


def test_a_process_that_answers_is_alive(client: FlaskClient) -> None:
    """Whatever else is wrong: killing it would not help."""
    answer = client.get("/health/live/")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "alive"})


@pytest.mark.settings(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
def test_without_a_database_it_is_alive_and_not_ready(client: FlaskClient) -> None:
    """A restart of the process does not bring the database back."""
    assert client.get("/health/live/").status_code == 200
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.get_json()["detail"] == "database: unreachable"


def test_with_its_tables_it_is_ready(client: FlaskClient) -> None:
    """Orders can be taken."""
    answer = client.get("/health/ready/")
    assert answer.status_code == 200
    said = answer.get_json()
    assert 0 < said.pop("database_ms") < 10_000
    assert said == {"status": "ready", "migration": queries.newest_migration()}


def test_a_drained_instance_is_alive_and_not_ready(
    client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves until the load balancer has noticed; its neighbour on another port is as ready as ever."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for port, status in (("8001", 200), ("8000", 503)):
        done = CliRunner().invoke(health, ["drain", "--wait", "0", "--port", port])
        assert (done.exit_code, done.output) == (0, f"web on port {port}: not ready from now on, serving for another 0 s\n")
        assert client.get("/health/ready/").status_code == status
    assert client.get("/health/ready/").get_json()["detail"] == "draining: `flask health drain` was called here"
    assert client.get("/health/live/").status_code == 200
    assert client.get("/api/orders/").status_code == 200
    assert CliRunner().invoke(health, ["drain", "--undo"], env={"PORT": "8000"}).output == ""
    assert client.get("/health/ready/").status_code == 200


def test_draining_waits_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next is SIGTERM, which refuses whoever has not noticed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pauses: list[float] = []
    monkeypatch.setattr(heartbeat.time, "sleep", pauses.append)
    assert CliRunner().invoke(health, ["drain"]).exit_code == 0
    assert pauses == [heartbeat.NOTICED_WITHIN]


def test_where_no_mark_can_be_draining_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code 1: the pod's events show it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"orderapp-{os.getuid()}").write_text("in the way")
    done = CliRunner().invoke(health, ["drain"])
    assert (done.exit_code, "the mark cannot be set" in done.output) == (1, True)
    assert not heartbeat.is_draining(8000)


def test_readiness_asks_for_nothing_of_the_broker(client: FlaskClient) -> None:
    """The broker of these tests is a port where nobody listens: orders are taken all the same."""
    with listening() as wire:
        assert client.get("/health/ready/").status_code == 200
    assert len(wire.said) == 1


def test_an_older_database_is_not_ready_and_says_what_to_run(client: FlaskClient) -> None:
    """Code that is deployed before its migration would fail at the first order."""
    newest = queries.newest_migration()
    sql("UPDATE alembic_version SET version_num = '0000'")
    try:
        answer = client.get("/health/ready/")
    finally:
        sql("UPDATE alembic_version SET version_num = %(newest)s", newest=newest)
    assert answer.status_code == 503
    assert answer.get_json()["detail"] == (f"database: at migration 0000, this code needs {newest}: run `flask db upgrade`")


def test_a_newer_database_is_ready(client: FlaskClient) -> None:
    """The tables of an upgrade come first: else the old instances would all leave the traffic before a new one is there."""
    newest = queries.newest_migration()
    sql("UPDATE alembic_version SET version_num = %(next)s", next=f"{int(newest) + 1:04}")
    try:
        answer = client.get("/health/ready/")
    finally:
        sql("UPDATE alembic_version SET version_num = %(newest)s", newest=newest)
    assert (answer.status_code, answer.get_json()["migration"]) == (200, f"{int(newest) + 1:04}")


def test_an_empty_database_says_that_the_tables_are_missing(empty_database: str, settings: Settings) -> None:
    """The first thing somebody sees who forgot the migrations."""
    app = create_app(replace(settings, database_url=psycopg2_url(empty_database)))
    answer = app.test_client().get("/health/ready/")
    assert answer.status_code == 503
    assert answer.get_json()["detail"] == "database: the tables are missing: run `flask db upgrade`"


def test_a_connection_that_breaks_during_the_question_is_no_missing_table(client: FlaskClient) -> None:
    """Nobody should be sent to run migrations because the server restarts."""
    with listening() as wire:
        wire.cut("FROM alembic_version")
        answer = client.get("/health/ready/")
    assert answer.status_code == 503
    assert answer.get_json()["detail"] == "database: unreachable"
    assert client.get("/health/ready/").status_code == 200
