"""One injected time for PostgreSQL and for Python: it stands still until the simulation moves it."""

from datetime import UTC, datetime
from typing import Any

# Noon: neither midnight of a report is near when a run begins.
BEGIN = datetime(2026, 1, 15, 12, tzinfo=UTC)

# Milliseconds. One thread holds all locks: whoever waits for one would wait for ever.
LOCK_TIMEOUT = 2

# A sequence, because every transaction sees it move at once. Functions found before PostgreSQL's own of the same name: the
# statements of the service are the real ones. Autovacuum cuts files off under a lock that somebody would meet.
_INSTALL = """
CREATE SCHEMA simulated;
CREATE SEQUENCE simulated.microseconds;
CREATE FUNCTION simulated.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT timestamptz 'epoch' + last_value * interval '1 microsecond' FROM simulated.microseconds $$;
CREATE FUNCTION simulated.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT timestamptz 'epoch' + last_value * interval '1 microsecond' FROM simulated.microseconds $$;
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT adrelid::regclass AS of_table, attname FROM pg_attrdef
        JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        WHERE pg_get_expr(adbin, adrelid) IN ('clock_timestamp()', 'now()')
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT simulated.clock_timestamp()', one.of_table, one.attname);
    END LOOP;
    FOR one IN SELECT oid::regclass AS of_table FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', one.of_table);
    END LOOP;
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = simulated, pg_catalog, public', current_user,
        current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET lock_timeout = {lock_timeout}', current_user, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET synchronous_commit = off', current_user, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET jit = off', current_user, current_database());
END $$;
"""


def install(cursor: Any) -> None:
    """Give the database a time that is ours; connections made from now on live in it."""
    cursor.execute(_INSTALL.replace("{lock_timeout}", str(LOCK_TIMEOUT)))


class Clock:
    """Moves the time of all. It has what the service uses of the module ``time``, and takes that module's place."""

    def __init__(self) -> None:
        self.cursor: Any = None
        self.now = 0.0

    def begin(self) -> None:
        """Let a run begin at its moment."""
        self.now = BEGIN.timestamp()
        self.advance(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now = round(self.now + seconds, 6)
        self.cursor.execute("SELECT setval('simulated.microseconds', %s)", [round(self.now * 1_000_000)])

    def monotonic(self) -> float:
        """Return the seconds since some moment."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait, which takes no time of anybody else's."""
        self.advance(seconds)
