"""What the application says to PostgreSQL: recorded, and, where a test wants a race or an outage, interrupted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from sqlalchemy import event

from orderapp.database import db
from tests.sql import one


class Said(NamedTuple):
    """One statement as psycopg2 got it, or, where it has the name of a prepared one, as it is prepared."""

    statement: str
    parameters: Any
    prepared: str | None


class Wire:
    """The statements of the application since the recording began, and what is to happen before some of them."""

    def __init__(self) -> None:
        """Record nothing yet."""
        self.said: list[Said] = []
        self.ends: list[str] = []
        self._before: list[tuple[str, Callable[[Any], str | None]]] = []

    def before(self, fragment: str, call: Callable[[], object]) -> None:
        """Run ``call`` once, just before the first statement that contains ``fragment``."""

        def act(_connection: Any) -> None:
            call()

        self._before.append((fragment, act))

    def fail(self, fragment: str, sqlstate: str) -> None:
        """Let PostgreSQL answer the first statement that contains ``fragment`` with this error."""
        self._before.append((fragment, lambda _: f"DO $$ BEGIN RAISE EXCEPTION 'test' USING ERRCODE = '{sqlstate}'; END $$"))

    def cut(self, fragment: str) -> None:
        """End the connection from the server's side, just before the first statement that contains ``fragment``."""

        def end(connection: Any) -> None:
            # Asked in the transaction, unheard: behind PgBouncer the number that libpq was told at the start is nobody's. (It
            # may give a read that has none to another backend.)
            with connection.connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (pid,) = cursor.fetchone()
            assert one("SELECT pg_terminate_backend(%(pid)s, 5000)", pid=pid)

        self._before.append((fragment, end))

    @property
    def untouched(self) -> list[str]:
        """Return the fragments that have not come yet."""
        return [fragment for fragment, _ in self._before]

    def hear(
        self, connection: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        """Note a statement; called by SQLAlchemy."""
        self.said.append(Said(statement, parameters, context.execution_options.get("prepared")))
        for planned in list(self._before):
            if planned[0] in statement:
                self._before.remove(planned)
                replacement = planned[1](connection)
                if replacement is not None:
                    return replacement, None
        return statement, parameters


@contextmanager
def listening() -> Iterator[Wire]:
    """Record what the application says meanwhile, from any thread."""
    wire = Wire()

    def committed(_connection: Any) -> None:
        wire.ends.append("COMMIT")

    def rolled_back(connection: Any) -> None:
        # SQLAlchemy says so of every connection that goes back; it is one where a transaction was open, or broke off.
        if connection.invalidated or connection.connection.dbapi_connection.info.transaction_status != TRANSACTION_STATUS_IDLE:
            wire.ends.append("ROLLBACK")

    event.listen(db.engine, "before_cursor_execute", wire.hear, retval=True)
    event.listen(db.engine, "commit", committed)
    event.listen(db.engine, "rollback", rolled_back)
    try:
        yield wire
    finally:
        event.remove(db.engine, "before_cursor_execute", wire.hear)
        event.remove(db.engine, "commit", committed)
        event.remove(db.engine, "rollback", rolled_back)
    assert not wire.untouched, f"never said: {wire.untouched}"
