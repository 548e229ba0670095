"""Witnesses that look on while the service works, and know only what must never be."""

import re
from typing import Any

from sqlalchemy import Engine, event

# In the database, so that what was undone was not seen. Each sentence is a guard of the service seen from outside.
_INSTALL = """
CREATE TABLE simulated.seen (what text NOT NULL, subject bigint NOT NULL);

CREATE FUNCTION simulated.see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO simulated.seen VALUES (TG_ARGV[0], NEW.id); RETURN NULL; END $$;

CREATE TRIGGER claimed_twice AFTER UPDATE OF attempts ON orders FOR EACH ROW
WHEN (OLD.status = 'processing' AND NEW.attempts > OLD.attempts AND OLD.lease_until > simulated.clock_timestamp())
EXECUTE FUNCTION simulated.see('an order was claimed while another run held its lease');

CREATE TRIGGER settled_again AFTER UPDATE OF last_sequence ON orders FOR EACH ROW
WHEN (OLD.status IN ('confirmed', 'failed', 'cancelled') AND NEW.status IN ('confirmed', 'failed'))
EXECUTE FUNCTION simulated.see('an order was settled that had been settled');

CREATE TRIGGER sent_twice AFTER UPDATE OF attempt ON webhook_deliveries FOR EACH ROW
WHEN (NEW.attempt > OLD.attempt AND OLD.lease_until > simulated.clock_timestamp())
EXECUTE FUNCTION simulated.see('a delivery was claimed while another run held its lease');

CREATE FUNCTION simulated.see_attempt() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulated.seen SELECT 'a run recorded an attempt that another had taken over', NEW.delivery_id
    FROM webhook_deliveries WHERE id = NEW.delivery_id AND attempt <> NEW.attempt;
    RETURN NULL;
END $$;
CREATE TRIGGER overtaken AFTER INSERT ON webhook_attempts FOR EACH ROW EXECUTE FUNCTION simulated.see_attempt();
"""

# Whoever needs two of these locks them in this order (tests/house/locks.py holds it in the text, this in what happens).
ORDER = ("orders", "products", "webhook_deliveries", "webhook_endpoints")

_LOCKS = re.compile(r"\bFROM (\w+)(?:(?!\bFROM\b).)*\bFOR NO KEY UPDATE", re.DOTALL)
_BY_ID = re.compile(r"\bORDER BY (\w+\.)?id\s+FOR NO KEY UPDATE")


def install(cursor: Any) -> None:
    """Post the witnesses."""
    cursor.execute(_INSTALL)


def forget(cursor: Any) -> None:
    """Let a run begin."""
    cursor.execute("DELETE FROM simulated.seen")


class LockOrder:
    """Looks on which tables each transaction locks, one after the other."""

    def __init__(self, engine: Engine) -> None:
        self.broken: set[str] = set()
        event.listen(engine, "before_cursor_execute", self._hear)
        event.listen(engine, "begin", self._forget)

    def _forget(self, connection: Any) -> None:
        connection.info.pop("locked", None)

    def _hear(self, connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        locks = _LOCKS.search(statement) if "FOR NO KEY UPDATE" in statement and "SKIP LOCKED" not in statement else None
        if locks is None or locks.group(1) not in ORDER:
            return
        table, before = locks.group(1), connection.info.get("locked", ORDER[0])
        if not _BY_ID.search(statement):
            self.broken.add(f"a statement locked {table} in another order than that of their ids")
        if ORDER.index(table) < ORDER.index(before):
            self.broken.add(f"a transaction locked {table} after {before}")
        connection.info["locked"] = max(table, before, key=ORDER.index)
