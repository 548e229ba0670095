"""Counters of limits in PostgreSQL: all processes count together, which ``memory://`` cannot."""

from limits.storage import Storage
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

# One statement, so that two processes cannot read the same count. A row whose time is over begins anew.
_COUNT = text("""
INSERT INTO rate_limits (key, hits, expires_at)
VALUES (:key, :amount, clock_timestamp() + make_interval(secs => :expiry))
ON CONFLICT (key) DO UPDATE SET
    hits = CASE WHEN rate_limits.expires_at <= clock_timestamp() THEN 0 ELSE rate_limits.hits END + excluded.hits,
    expires_at = CASE WHEN rate_limits.expires_at <= clock_timestamp() THEN excluded.expires_at ELSE rate_limits.expires_at END
RETURNING hits, extract(epoch FROM expires_at - clock_timestamp())
""")

_HITS = text("SELECT hits FROM rate_limits WHERE key = :key AND expires_at > clock_timestamp()")

_EXPIRY = text("SELECT extract(epoch FROM expires_at) FROM rate_limits WHERE key = :key")

_FORGET_OLD = text("DELETE FROM rate_limits WHERE expires_at <= clock_timestamp()")

_FORGET = text("DELETE FROM rate_limits WHERE key = :key")

_FORGET_ALL = text("DELETE FROM rate_limits")


def count(connection: Connection, key: str, expiry: float) -> tuple[int, float]:
    """Count one; returns the count of the current window, and the seconds until it ends."""
    hits, rest = connection.execute(_COUNT, {"key": key, "amount": 1, "expiry": expiry}).one()
    if hits == 1:  # a new window: a good moment to sweep, for there are few of them
        connection.execute(_FORGET_OLD)
    return int(hits), float(rest)


class PostgresCounters(Storage):
    """A storage of the ``limits`` library on connections of its own, outside of any transaction of the request.

    A count must stay although the request that made it fails. One connection per question and none in between: logins are
    rare, cost 50 ms anyway, and neither a fork nor a restart of PostgreSQL then needs any thought.
    """

    STORAGE_SCHEME = ["orderapp-postgresql"]  # noqa: RUF012 - the library's own declaration

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, *, url: URL, **_: str) -> None:
        """Remember where; nothing is opened."""
        super().__init__(uri, wrap_exceptions)
        self._engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what a database that is away raises."""
        return SQLAlchemyError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, and return the count of the current window, which lasts ``expiry`` seconds from its first hit."""
        hits = self._ask(_COUNT, key=key, amount=amount, expiry=expiry)
        if hits == amount:  # a new window: a good moment to sweep, for there are few of them
            self._ask(_FORGET_OLD)
        return int(hits or 0)

    def get(self, key: str) -> int:
        """Return the count of the current window."""
        return int(self._ask(_HITS, key=key) or 0)

    def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds since 1970."""
        return float(self._ask(_EXPIRY, key=key) or 0)

    def check(self) -> bool:
        """Tell whether the table can be read."""
        try:
            self._ask(_HITS, key="")
        except SQLAlchemyError:
            return False
        return True

    def reset(self) -> int | None:
        """Forget every count."""
        self._ask(_FORGET_ALL)
        return None

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._ask(_FORGET, key=key)

    def _ask(self, statement: object, **values: object) -> float | None:
        with self._engine.connect() as connection:
            result = connection.execute(statement, values)  # type: ignore[call-overload]
            answer: float | None = result.scalar() if result.returns_rows else None
            return answer
