"""What the doctor asks PostgreSQL. Each check reads, and changes nothing."""

import shutil
import time
from collections.abc import Callable, Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from config import Settings
from orderapp.database import POOL_OVERFLOW, is_pooled
from orderapp.monitoring import queries
from orderapp.monitoring.checkup import Finding, fault, first_line, ok, warning
from orderapp.queues import TASKS

# The oldest release that the tests run on, as PostgreSQL numbers them.
OLDEST, OLDEST_NUMBER = "15", 150000

# Seconds. Beat's clock writes when a rescue expires (after 5 s) and a worker's clock reads it: further apart, workers throw
# away every rescue. One second shows that nobody keeps the clocks, and no answer of a database takes as long.
MOST_SKEW, SOME_SKEW = 5, 1

# Milliseconds of the shortest task limit: a statement that waits longer for a lock is killed with its worker.
SHORTEST_LIMIT = min(task.time_limit for task in TASKS.values()) * 1000

# Dead rows beyond which a claim from the outbox is felt to take longer; autovacuum comes every thousand.
MANY_DEAD = 100_000

# Seconds. No transaction of ours takes one; a report of ten minutes keeps ten minutes' dead rows alive.
LONG_TRANSACTION = 600

# Bytes. PostgreSQL ends when its log cannot grow, and that grows by max_wal_size (1 GB) between two checkpoints; five times
# that leave somebody the time to react.
NO_ROOM, LITTLE_ROOM = 1024**3, 5 * 1024**3

# Of the connections: beyond it, one more worker or a rolling restart with two of everything is refused.
MOST_USED = 0.8

HOT_TABLES = ("outbox", "orders", "webhook_deliveries", "products")

_SERVER = text("""
SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
    current_user AS role, current_database() AS database, pg_is_in_recovery() AS standby
""")

_CLOCK = text("SELECT extract(epoch FROM clock_timestamp())::float8")

_TIMEOUTS = text("""
SELECT name, setting::bigint AS milliseconds FROM pg_settings
WHERE name IN ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout') ORDER BY name
""")

_CONNECTIONS = text("""
SELECT least(
        current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())) AS most,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used
""")

_AUTOVACUUM = text("SELECT current_setting('autovacuum')::bool AND current_setting('track_counts')::bool")

_HOT = text("""
SELECT c.relname AS name, s.n_live_tup AS live, s.n_dead_tup AS dead,
    coalesce((SELECT option_value::bool FROM pg_options_to_table(c.reloptions) WHERE option_name = 'autovacuum_enabled'), true)
        AS enabled
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.oid IN (SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS t(name)) ORDER BY 1
""")

_OLDEST_SNAPSHOT = text("""
SELECT pid, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1
""")

# The folder is told to privileged roles only; behind a socket file it is on this machine.
_SIZE = text("""
SELECT pg_database_size(current_database()) AS bytes,
    (SELECT setting FROM pg_settings WHERE name = 'data_directory' AND inet_server_addr() IS NULL) AS folder
""")

DatabaseCheck = Callable[[Connection, Settings], Iterator[Finding]]


def reachable(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Check that the database answers."""
    begin = time.monotonic()
    row = session.execute(_SERVER).one()
    yield ok("database", f"{row.database} as {row.role}, answers in {(time.monotonic() - begin) * 1000:.0f} ms")


def unreachable(error: SQLAlchemyError) -> Finding:
    """Word that there is no connection to be had."""
    remedy = "start PostgreSQL, or mend DATABASE_URL; POSTs answer 503 and tasks wait meanwhile"
    return fault("database", f"not reachable: {first_line(error)}", remedy)


def server(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Check that the server is new enough and takes writes."""
    row = session.execute(_SERVER).one()
    if row.number < OLDEST_NUMBER:
        yield fault("PostgreSQL", row.version, f"upgrade to PostgreSQL {OLDEST} or newer")
    elif row.standby:
        yield fault("PostgreSQL", f"{row.version}, a standby: it takes no writes", "point DATABASE_URL at the primary")
    else:
        yield ok("PostgreSQL", row.version)


def migration(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Check that the tables are as this code knows them."""
    found, newest = queries.revision(session), queries.newest_migration()
    if found == newest:
        yield ok("migration", f"at {newest}, as this code needs")
    elif queries.is_ahead(found):
        yield warning("migration", f"at {found}, newer than this code's {newest}", "deploy the version that brought it")
    else:
        yield fault("migration", f"at {found or 'none'}, this code needs {newest}", "run: flask db upgrade")


def clock(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Compare the database's clock with this machine's."""
    session.scalar(_CLOCK)  # so that the question itself, and not the connection, is timed
    before = time.time()
    theirs: float = session.execute(_CLOCK).scalar_one()
    skew = theirs - (before + time.time()) / 2
    words = f"the database's clock is {abs(skew):.3f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    remedy = "keep both clocks by NTP (timedatectl): workers judge by theirs whether a rescue has expired"
    if abs(skew) >= MOST_SKEW:
        yield fault("clock", words, remedy)
    else:
        yield warning("clock", words, remedy) if abs(skew) >= SOME_SKEW else ok("clock", words)


def timeouts(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Check that the limits which the first migration gave to the role hold in this session."""
    row = session.execute(_SERVER).one()
    for name, milliseconds in session.execute(_TIMEOUTS):
        limit = "5s" if name == "lock_timeout" else "30s"
        remedy = f"run: ALTER ROLE {row.role} IN DATABASE {row.database} SET {name} = '{limit}'; then restart the processes"
        words = f"{milliseconds / 1000:g} s"
        if name == "lock_timeout" and not 0 < milliseconds < SHORTEST_LIMIT:
            killed = f"tasks are killed after {SHORTEST_LIMIT / 1000:g} s, while they wait for a lock"
            yield fault(name, f"{words if milliseconds else 'none'}: {killed}", remedy)
        elif not milliseconds:
            yield warning(name, "none: what hangs keeps its locks for ever", remedy)
        else:
            yield ok(name, words)


def connections(session: Connection, settings: Settings) -> Iterator[Finding]:
    """Check that the pools fit into what the server, the role and the database allow."""
    row = session.execute(_CONNECTIONS).one()
    web = settings.web_workers * (settings.web_threads + POOL_OVERFLOW)
    words = f"{row.used} of {row.most} in use; gunicorn here may open {web} (WEB_WORKERS x (WEB_THREADS + {POOL_OVERFLOW}))"
    if is_pooled(session):
        web, words = 0, f"{row.used} of {row.most} in use, by a pooler for all"
    remedy = "lower WEB_WORKERS or WEB_THREADS, raise max_connections, or put PgBouncer in between"
    if web >= row.most:
        yield fault("connections", words, remedy)
    elif web > row.most / 2:
        yield warning("connections", f"{words}: less than half is left for workers and relays", remedy)
    elif row.used > row.most * MOST_USED:
        yield warning("connections", f"{words}: nearly all", remedy)
    else:
        yield ok("connections", words)


def autovacuum(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Check that what is deleted all day is swept all day."""
    if not session.scalar(_AUTOVACUUM):
        yield fault("autovacuum", "switched off for the whole server", "set autovacuum and track_counts on in postgresql.conf")
        return
    swept = []
    for row in session.execute(_HOT, {"tables": list(HOT_TABLES)}):
        if not row.enabled:
            yield fault("autovacuum", f"switched off for {row.name}", f"run: ALTER TABLE {row.name} RESET (autovacuum_enabled)")
        elif row.dead > max(MANY_DEAD, row.live):
            yield warning("autovacuum", f"{row.name} has {row.dead} dead rows and {row.live} live ones", _what_holds(session))
        else:
            swept.append(f"{row.name} {row.dead}")
    if swept:
        yield ok("autovacuum", f"on; dead rows: {', '.join(swept)}")
    oldest = session.execute(_OLDEST_SNAPSHOT).one_or_none()
    if oldest is not None and oldest.seconds > LONG_TRANSACTION:
        yield warning(
            "autovacuum",
            f"process {oldest.pid} holds a snapshot of {oldest.seconds / 60:.0f} min ago: nothing younger can be swept",
            f"see what it is (pg_stat_activity); to end it: SELECT pg_terminate_backend({oldest.pid})",
        )


def _what_holds(session: Connection) -> str:
    oldest = session.execute(_OLDEST_SNAPSHOT).one_or_none()
    if oldest is not None and oldest.seconds > LONG_TRANSACTION:
        return f"end the old transaction of process {oldest.pid}, then VACUUM the table"
    return "VACUUM the table; if it comes again, raise autovacuum_vacuum_cost_limit"


def disk(session: Connection, _settings: Settings) -> Iterator[Finding]:
    """Check that there is room for data and log; seen from here only where the server is on this machine."""
    row = session.execute(_SIZE).one()
    words = f"the database takes {_size(row.bytes)}"
    free = _free(row.folder) if row.folder else None
    if free is None:
        yield ok("database disk", f"{words}; what is free cannot be seen from here")
        return
    words = f"{words}; {_size(free)} free"
    remedy = "make room where its data lies, or move it: PostgreSQL ends when its log cannot grow"
    if free < NO_ROOM:
        yield fault("database disk", words, remedy)
    else:
        yield warning("database disk", words, remedy) if free < LITTLE_ROOM else ok("database disk", words)


def _free(folder: str) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # a socket that leads into a container, or not for our eyes
        return None


def _size(octets: int) -> str:
    return f"{octets / 1024**3:.1f} GiB" if octets >= 1024**3 else f"{octets / 1024**2:.0f} MiB"


# The first one decides whether there is anything to ask the others.
CHECKS: tuple[tuple[str, DatabaseCheck], ...] = (
    ("database", reachable),
    ("PostgreSQL", server),
    ("migration", migration),
    ("clock", clock),
    ("timeouts", timeouts),
    ("connections", connections),
    ("autovacuum", autovacuum),
    ("database disk", disk),
)
