"""The one way to the database: ``reading()`` for queries, ``reading_once()`` for a single one, ``writing()`` for acts.

All give a session of PostgreSQL, which SQLAlchemy calls a connection; its ORM's Session on top cost every statement a third
more and did nothing for us, as all our statements are SQL.
``writing()`` may be called from acts only (files ending in -ing); a house test holds that.
"""

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase

from config import ROOT
from orderapp import failpoints

# A connection attempt that hangs this many seconds is an outage; a POST must answer 503 well before its client gives up.
CONNECT_TIMEOUT = 3

# Milliseconds that sent data may stay unacknowledged before the kernel calls the connection dead: a black-holed database
# must free the thread, and 10 s is the hard limit of an order task.
TCP_USER_TIMEOUT = 8000

# Seconds of silence before the kernel asks whether the server is still there, and between two such questions. Who waits for
# an answer has nothing unacknowledged: without these, a server that vanished meanwhile is noticed after two hours.
KEEPALIVES_IDLE, KEEPALIVES_INTERVAL = 4, 1

# Seconds that a request waits for a connection of its process's pool. There is one connection per thread, so that a
# wait at all means that connections are stuck.
POOL_TIMEOUT = 3

# Connections beyond a process's pool: a command or a health check beside its threads, and no more.
POOL_OVERFLOW = 2

# Seconds between two looks at a database that is away; a restart takes about one.
OUTAGE_POLL = 0.2

# The largest id that a bigint holds.
LAST_ID = 2**63 - 1

# SQLSTATEs and classes that say "not now", not "wrong": serialization failure, deadlock, lock not available, connection
# exceptions (08), insufficient resources (53), operator intervention such as a restart (57), read-only standby.
OUTAGE_STATES = ("40001", "40P01", "55P03", "25006", "08", "53", "57")


T = TypeVar("T")


class Base(DeclarativeBase):
    """The base of all models."""


db = SQLAlchemy(model_class=Base)
migrate = Migrate()

# The transaction of the act that runs in this thread.
_act: ContextVar[Connection | None] = ContextVar("act", default=None)


class NestedActError(RuntimeError):
    """An act or a read was begun inside an act."""


def init_app(app: Flask, url: str, pool_size: int) -> None:
    """Give the application its engine. No connection is opened: gunicorn and Celery fork after this."""
    app.config["SQLALCHEMY_DATABASE_URI"] = _with_timeouts(make_url(url))
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": pool_size,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": POOL_TIMEOUT,
        # Errors quote their statement; its values may be a receiver's secret or a password's hash, and errors are logged.
        "hide_parameters": True,
    }
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))
    with app.app_context():
        event.listen(db.engine, "checkout", _refuse_dead_connection)


def _with_timeouts(url: URL) -> URL:
    # libpq parameters, not server options: a PgBouncer in transaction mode refuses or leaks those. The server-side limits
    # (lock_timeout and so on) are set on the role by the first migration.
    defaults = {
        "connect_timeout": str(CONNECT_TIMEOUT),
        "tcp_user_timeout": str(TCP_USER_TIMEOUT),
        "keepalives_idle": str(KEEPALIVES_IDLE),
        "keepalives_interval": str(KEEPALIVES_INTERVAL),
        "application_name": "orderapp",
    }
    return url.update_query_dict({name: value for name, value in defaults.items() if name not in url.query})


def _refuse_dead_connection(connection: Any, _record: object, _proxy: object) -> None:
    # After a restart of PostgreSQL the pool holds closed sockets. An idle connection with something to read is one of
    # them (the server's farewell); the pool then opens a new one. Costs a system call instead of pre_ping's round trip.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError("the server closed this idle connection")


def is_pooled(session: Connection) -> bool:
    """Tell whether a pooler such as PgBouncer is in between: libpq was then told another number than PostgreSQL's own."""
    connection: Any = session.connection.dbapi_connection
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return bool(connection.info.backend_pid != cursor.fetchone()[0])


def forget_connections() -> None:
    """Drop the connections that a fork copied: two processes on one socket would read each other's rows."""
    db.engine.dispose(close=False)


@contextmanager
def writing() -> Iterator[Connection]:
    """Open the one transaction of an act: commits at the end, rolls back when the block raises.

    Raises NestedActError inside another act: it could not say whose transaction it is.
    """
    if in_act():
        raise NestedActError("finish the other transaction before this act begins")
    act = failpoints.act_outside(frames=2)  # this generator's frame is below the act's, with contextlib's between
    with db.engine.begin() as session:
        token = _act.set(session)
        try:
            failpoints.passing(act, "begun", partial(_cut, session))
            yield session
            failpoints.passing(act, "before_commit", partial(_cut, session))
        finally:
            _act.reset(token)
    failpoints.passing(act, "after_commit", _lose_answer)


def _cut(session: Connection) -> None:
    """Break the connection under the transaction: the server never hears of a commit."""
    connection: Any = session.connection.dbapi_connection
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _lose_answer() -> None:
    """Raise what a connection does that breaks after the commit and before the server's answer to it."""
    raise OperationalError("COMMIT", None, ConnectionResetError("by a failpoint"))


@contextmanager
def reading() -> Iterator[Connection]:
    """Open a read: ends without a trace, whatever happened in it. Raises NestedActError inside an act."""
    if in_act():
        raise NestedActError("a query inside an act joins its transaction instead")
    with db.engine.connect() as session:
        yield session


@contextmanager
def reading_once() -> Iterator[Connection]:
    """Open a read of a single statement, which needs no transaction: BEGIN and ROLLBACK are two round trips beside its one.

    For the one that every request or poll begins with; a write in it would stay. Raises NestedActError inside an act.
    """
    with reading() as session:
        connection: Any = session.connection.dbapi_connection
        try:
            # Not by SQLAlchemy's isolation level: back at its own, psycopg2 tells the server of each change, in a round trip.
            connection.autocommit = True
            yield session
        finally:
            if not connection.closed:
                connection.autocommit = False


def in_act() -> bool:
    """Tell whether this is inside ``writing()``."""
    return _act.get() is not None


def current_act() -> Connection | None:
    """Return the transaction of the act that runs now, for things that join it; None outside of any."""
    return _act.get()


def is_outage(error: BaseException) -> bool:
    """Tell whether the database could not be asked now: trying again later helps, and nobody's data is to blame."""
    if isinstance(error, (PoolTimeoutError, DisconnectionError)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "pgcode", None)
    if state is None:
        # psycopg2 reports a broken socket without a code.
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))
    return str(state).startswith(OUTAGE_STATES)


def outlast(call: Callable[[], T], seconds: float) -> T:
    """Return what ``call`` returns, calling it again while the database is away, for at most that long.

    Any other error, and the outage that outlasts the time, is raised as it came. ``call`` must be safe to repeat: a
    connection may break after the commit and before its answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except SQLAlchemyError as error:
            if not is_outage(error) or time.monotonic() > deadline:
                raise
            time.sleep(OUTAGE_POLL)
