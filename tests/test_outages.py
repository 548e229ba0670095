"""Outages of the database, told from faults, and outlasted."""

import psycopg2
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from orderapp import database
from orderapp.database import db, is_outage, outlast, reading

pytestmark = pytest.mark.usefixtures("app")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03", "57014", "57P01", "57P03", "53300", "53100", "08006", "25006"])
def test_what_says_not_now_is_an_outage(sqlstate: str) -> None:
    """Serialization, deadlock, lock, restart, too many connections, full disk, standby: trying again helps."""
    with pytest.raises(DBAPIError) as error, reading() as session:
        session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$"))
    assert is_outage(error.value)


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT 1/0", DBAPIError),
        ("SELECT nothing", ProgrammingError),
        ("INSERT INTO api_clients (name) VALUES ('anonymous')", IntegrityError),
        ("SELECT 'x'::int", DBAPIError),
    ],
)
def test_what_is_wrong_is_no_outage(statement: str, kind: type[Exception]) -> None:
    """Tried again, it would be wrong again."""
    with pytest.raises(kind) as error, reading() as session:
        session.execute(text(statement))
    assert not is_outage(error.value)


def test_other_errors_are_no_outages() -> None:
    """Only the pool and the driver can tell."""
    assert not is_outage(KeyError())
    assert not is_outage(psycopg2.OperationalError())
    assert is_outage(PoolTimeoutError())


@pytest.mark.settings(DATABASE_URL="postgresql://nobody@127.0.0.1:9/nothing")
def test_a_server_that_is_not_there_is_an_outage() -> None:
    """psycopg2 reports it without a code."""
    with pytest.raises(OperationalError) as error, reading() as session:
        session.scalar(text("SELECT 1"))
    assert is_outage(error.value)


@pytest.mark.settings(WEB_THREADS="1")
def test_a_request_that_finds_no_free_connection_is_told_to_come_back(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stuck connections are an outage: 503 after the pool's patience, not a 500."""
    monkeypatch.setattr(db.engine.pool, "_timeout", 0.05)
    connections = [db.engine.connect() for _ in range(3)]
    answer = client.get("/api/orders/1/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    for connection in connections:
        connection.close()
    assert client.get("/api/orders/1/").status_code == 404


class Flaky:
    """A call that fails so many times."""

    def __init__(self, failures: int, error: Exception) -> None:
        """Plan the failures."""
        self.calls, self._failures, self._error = 0, failures, error

    def __call__(self) -> str:
        """Fail, or return."""
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "done"


@pytest.fixture
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once."""
    monkeypatch.setattr(database, "OUTAGE_POLL", 0)


@pytest.mark.usefixtures("_no_pause")
def test_an_outage_is_outlasted() -> None:
    """The caller never hears of it."""
    flaky = Flaky(3, PoolTimeoutError())
    assert outlast(flaky, seconds=10) == "done"
    assert flaky.calls == 4


@pytest.mark.usefixtures("_no_pause")
def test_an_outage_that_outlasts_the_patience_is_raised_as_it_came() -> None:
    """The last error is the one that counts; without patience the first."""
    flaky = Flaky(10**9, PoolTimeoutError("away"))
    with pytest.raises(PoolTimeoutError, match="away"):
        outlast(flaky, seconds=0.02)
    assert flaky.calls > 1
    impatient = Flaky(1, PoolTimeoutError())
    with pytest.raises(PoolTimeoutError):
        outlast(impatient, seconds=-1)
    assert impatient.calls == 1


@pytest.mark.parametrize("error", [KeyError("bug"), IntegrityError("s", {}, Exception())])
def test_any_other_error_is_raised_at_once(error: Exception) -> None:
    """Calling again would only hide it."""
    flaky = Flaky(1, error)
    with pytest.raises(type(error)):
        outlast(flaky, seconds=10)
    assert flaky.calls == 1
