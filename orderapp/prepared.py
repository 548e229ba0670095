"""Statements that PostgreSQL reads and plans once in a while, not at each execution: for those that requests wait for.

Half of what an order costs PostgreSQL is reading and planning its statement. psycopg2 knows nothing of prepared statements,
so that this is SQL's own PREPARE, once on each connection, and EXECUTE from then on.

``text(...).execution_options(prepared="show_order")`` makes one. No other has its name, and each parameter's type must be clear
without its value: CAST(:x AS bigint) where it is neither compared nor text.
"""

import re
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flask import Flask
from sqlalchemy import Connection, event

from orderapp.database import db, is_pooled

# Seconds that plans are used. One that was made while a table was empty reads it from end to end, however long it is by then,
# and nothing else would end that before autovacuum comes by.
LASTING = 1

# Left to itself, PostgreSQL plans the first five executions anew, and all of them when it takes an array for longer than it is:
# a statement of these must be one that has one good plan, whatever its parameters. (A transaction that is undone takes the
# setting along; until the plans' time is over it is then as PostgreSQL would have it.)
FOR_ANY_PARAMETERS = "SET plan_cache_mode = force_generic_plan"

_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass
class _Plans:
    """What is prepared on one connection."""

    since: float = field(default_factory=time.monotonic)
    names: set[str] = field(default_factory=set)


def init_app(app: Flask) -> None:
    """Have such statements prepared on the connections of this application."""
    with app.app_context():
        # The last step before psycopg2: who listens to statements hears this one as it is written.
        event.listen(db.engine, "do_execute", _execute)


def _execute(cursor: Any, statement: str, values: Any, context: Any) -> bool:
    """Execute a statement that is to be prepared, called by SQLAlchemy; tells whether it was one."""
    name = context.execution_options.get("prepared")
    if name is None or _is_pooled(context.root_connection):
        return False
    info = context.root_connection.info
    preparing, executing = spell(name, statement)
    # Taken away until this went well: after an error nobody knows how far the server came, and the next one begins anew.
    plans: _Plans | None = info.pop("plans", None)
    if plans is None or time.monotonic() - plans.since > LASTING:
        plans = _Plans()
        executing = f"DEALLOCATE ALL; {FOR_ANY_PARAMETERS}; {preparing}; {executing}"
    elif name not in plans.names:
        executing = f"{preparing}; {executing}"
    cursor.execute(executing, values)
    plans.names.add(name)
    info["plans"] = plans
    return True


def _is_pooled(session: Connection) -> bool:
    # What is prepared through PgBouncer stays on a connection that the next transaction may not get.
    if "pooled" not in session.info:
        session.info["pooled"] = is_pooled(session)
    return bool(session.info["pooled"])


@cache
def spell(name: str, statement: str) -> tuple[str, str]:
    """Return what prepares a statement of psycopg2's style, and what executes it then."""
    names = list(dict.fromkeys(_PARAMETER.findall(statement)))
    numbered = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    return f"PREPARE {name} AS {numbered}", f"EXECUTE {name} ({', '.join(f'%({name})s' for name in names)})"
