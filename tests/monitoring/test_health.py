"""Alive, and ready to take orders."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from config import Settings, psycopg2_url
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
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ready"})


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
