"""What happens at the boundaries that processes pass: they die, fail, lose their connection, or hang while others go on."""

from collections.abc import Callable
from functools import partial
from typing import Any

from orderapp.database import current_act
from orderapp.failpoints import FailpointError

# Seconds after which PostgreSQL ends a transaction in which nothing happens (idle_in_transaction_session_timeout).
IDLE = 30

END, ENDED = "SELECT pg_terminate_backend(%s)", "SELECT count(*) = 0 FROM pg_stat_get_activity(%s)"


class Killed(BaseException):
    """The process that was here is gone: no handler of it runs, its open transaction is undone."""


class Boundaries:
    """Stands where the armed failpoints are; ``decide`` says for each passage what is to happen.

    ``hang`` lets time pass and others go on, and calls what it is given when PostgreSQL has no more patience.
    """

    def __init__(self) -> None:
        self.cursor: Any = None
        self.forget()

    def forget(self) -> None:
        """Let everybody go by."""
        self.decide: Callable[[str], str] = lambda _name: ""
        self.hang: Callable[[Callable[[], None]], None] = lambda _end_session: None
        self.kill: Callable[[str], None] = _raise_killed
        self.note: Callable[[str], None] = lambda _text: None

    def passing(self, name: str, cut: Callable[[], None]) -> None:
        """Go by, or not."""
        action = self.decide(name)
        if not action:
            return
        self.note(f"{name}: {action}")
        if action == "kill":
            self.kill(name)
        elif action == "raise":
            raise FailpointError(name)
        elif action == "reset":
            session = self._session()
            cut()
            self._wait_for_the_end(session)
        elif action == "hang":
            self.hang(partial(self._wait_for_the_end, self._session()))

    def _session(self) -> int | None:
        """Return the server's process that serves the transaction which is open here, if one is."""
        session = current_act()
        if session is None or not session.in_transaction():
            return None
        connection: Any = session.connection.dbapi_connection
        return int(connection.info.backend_pid)

    def _wait_for_the_end(self, session: int | None) -> None:
        """Let the server notice at once; a moment later, and how a run goes on would depend on the machine's load."""
        if session is not None:
            self.cursor.execute(END, [session])
            ended = False
            while not ended:  # pg_terminate_backend waits, too, but looks only ten times a second
                self.cursor.execute(ENDED, [session])
                (ended,) = self.cursor.fetchone()


def _raise_killed(name: str) -> None:
    raise Killed(name)
