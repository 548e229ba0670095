"""The one way to the database: one transaction per act, reads without a trace, outages told from faults."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy import text
from sqlalchemy.exc import DataError, OperationalError

from orderapp import database
from orderapp.database import (
    NestedActError,
    db,
    forget_connections,
    in_act,
    is_outage,
    reading,
    reading_once,
    writing,
)
from tests.servers.others import UNPOOLED
from tests.sql import one, sql
from tests.wire import listening

pytestmark = pytest.mark.usefixtures("app")

NEW = text("INSERT INTO api_clients (name) VALUES ('Alice')")
COUNT = text("SELECT count(*) FROM api_clients")


def clients() -> int:
    """Return how many clients are committed."""
    return int(one("SELECT count(*) FROM api_clients"))


def write_and_raise(end: type[BaseException], opened: Any = writing, first: str = "SELECT 1") -> None:
    """Insert a client, and break off before the end."""
    with opened() as session:
        session.execute(text(first))
        session.execute(NEW)
        raise end


def backend(session: Any) -> int:
    """Return the server's process behind this session."""
    return int(session.scalar(text("SELECT pg_backend_pid()")))


def test_an_act_is_committed_at_its_end_and_not_before() -> None:
    """Nobody sees half of it."""
    with writing() as session:
        session.execute(NEW)
        assert clients() == 1
    assert clients() == 2


def test_an_act_that_raises_leaves_nothing() -> None:
    """And the next one begins as if it had not been."""
    with pytest.raises(KeyError):
        write_and_raise(KeyError)
    assert clients() == 1
    with writing() as session:
        session.execute(NEW)
    assert clients() == 2


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_act_that_is_broken_off_leaves_nothing(end: type[BaseException]) -> None:
    """A stopped worker is no reason to commit."""
    with pytest.raises(end):
        write_and_raise(end)
    assert clients() == 1
    assert not in_act()


def test_an_act_inside_an_act_is_refused_and_the_outer_one_goes_on() -> None:
    """It could not say whose transaction it is."""
    with writing() as session:
        session.execute(NEW)
        with pytest.raises(NestedActError), writing():
            pytest.fail("began")
        assert in_act()
    assert clients() == 2


def test_an_act_sees_what_is_committed_now() -> None:
    """A snapshot taken before the act would be yesterday's truth."""
    with reading() as session:
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        assert session.scalar(COUNT) == 1
        sql("INSERT INTO api_clients (name) VALUES ('Bob')")
        assert session.scalar(COUNT) == 1
        with writing() as own:
            assert own.scalar(COUNT) == 2


def test_a_read_ends_without_a_trace() -> None:
    """Whatever was tried in it, also when it raises."""
    with reading() as session:
        session.execute(NEW)
    with pytest.raises(KeyError):
        write_and_raise(KeyError, reading)
    assert clients() == 1
    assert one("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%%' AND datname = current_database()") == 0


def test_a_read_of_one_statement_opens_no_transaction_and_leaves_the_connection_as_it_was() -> None:
    """The next act on it is all or nothing again."""
    with reading_once() as session:
        assert session.scalar(COUNT) == 1
        connection: Any = session.connection.dbapi_connection
        assert connection.info.transaction_status == TRANSACTION_STATUS_IDLE
    with pytest.raises(KeyError):
        write_and_raise(KeyError, writing)
    assert clients() == 1


def test_so_does_one_that_fails() -> None:
    """An act behind it would otherwise commit each statement by itself."""
    with pytest.raises(DataError), reading_once() as session:
        session.execute(text("SELECT 1/0"))
    with pytest.raises(KeyError):
        write_and_raise(KeyError, writing)
    assert clients() == 1


@UNPOOLED
def test_a_read_of_one_statement_whose_connection_dies_is_an_outage() -> None:
    """And the next act gets another connection."""
    with listening() as wire:
        wire.cut("api_clients")
        with pytest.raises(OperationalError) as caught, reading_once() as session:
            session.scalar(COUNT)
    assert is_outage(caught.value)
    with pytest.raises(KeyError):
        write_and_raise(KeyError, writing)
    assert clients() == 1


@pytest.mark.parametrize("read", [reading, reading_once])
def test_a_read_inside_an_act_is_refused_and_the_act_goes_on(read: Any) -> None:
    """Its end would undo the act."""
    with writing() as session:
        session.execute(NEW)
        with pytest.raises(NestedActError), read():
            pytest.fail("began")
    assert clients() == 2


def test_an_act_knows_that_it_is_one() -> None:
    """Which is how enqueue() refuses to write outside of a transaction."""
    assert not in_act()
    with reading():
        assert not in_act()
    with writing():
        assert in_act()
    assert not in_act()


@UNPOOLED
def test_a_pooled_connection_that_the_server_closed_is_replaced_without_an_error() -> None:
    """After a restart of PostgreSQL nobody gets a 503 for a socket that was dead before he came."""
    with reading() as session:
        dead = backend(session)
    assert one("SELECT pg_terminate_backend(%(pid)s, 5000)", pid=dead)
    with reading() as session:
        assert backend(session) != dead
    with writing() as session:
        session.execute(NEW)
    assert clients() == 2


@UNPOOLED
def test_every_dead_connection_of_the_pool_is_replaced(app: Flask) -> None:
    """A restart closes them all at once."""
    connections = [db.engine.connect() for _ in range(4)]
    pids = [backend(connection) for connection in connections]
    for connection in connections:
        connection.close()
    for pid in pids:
        assert one("SELECT pg_terminate_backend(%(pid)s, 5000)", pid=pid)
    for _ in range(4):
        with app.app_context(), reading() as session:
            assert backend(session) not in pids


def test_a_living_connection_is_used_again_without_asking_the_server() -> None:
    """No round trip per checkout, and no new connection per request."""
    with reading() as session:
        first = backend(session)
    with listening() as wire, reading() as session:
        assert backend(session) == first
    assert len(wire.said) == 1


@UNPOOLED
def test_a_fork_that_forgets_its_connections_leaves_the_parents_alone() -> None:
    """A goodbye from the child would end the parent's session on the server; a use would mix their answers."""
    with reading() as session:
        parents = backend(session)
    child = os.fork()
    if child == 0:
        forget_connections()
        with reading() as session:
            os._exit(7 if backend(session) != parents else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with reading() as session:
        assert backend(session) == parents


def test_an_act_whose_connection_dies_is_an_outage_and_leaves_nothing(a_product: Callable[..., int]) -> None:
    """In the middle of an act nothing is replaced in silence: half of it would be lost."""
    product = a_product()
    with listening() as wire:
        wire.cut("INSERT INTO api_clients")
        with pytest.raises(OperationalError) as outage:
            write_and_raise(KeyError, first="UPDATE products SET price = 0")
    assert is_outage(outage.value)
    assert one("SELECT price FROM products WHERE id = %(id)s", id=product) > 0
    with reading() as session:
        assert session.scalar(COUNT) == 1


@pytest.mark.parametrize(
    ("limit", "value"), [("lock_timeout", "5s"), ("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s")]
)
def test_every_connection_has_the_limits_of_the_role(limit: str, value: str) -> None:
    """Without them one forgotten transaction stops everything."""
    with reading() as session:
        assert session.scalar(text(f"SHOW {limit}")) == value


def test_the_url_may_bring_its_own_timeouts() -> None:
    """Ours are defaults: an operator's word counts."""
    url = database._with_timeouts(database.make_url("postgresql+psycopg2://h/d?connect_timeout=9&application_name=mine"))
    assert (url.query["connect_timeout"], url.query["application_name"]) == ("9", "mine")
    assert url.query["tcp_user_timeout"] == "8000"
