"""Work that waits, made by one statement, and how fast it is taken away."""

import time
from typing import Any

import amqp

from bench.stage import await_row, connect, sql
from tests.servers.waiting import wait_until

# Orders as a POST stores them, of one or two products each; :first and :second say which, by the order's number n.
_ORDERS = """
WITH placed AS (
    INSERT INTO orders (client_id, currency, rescue_at)
    SELECT 1, 'USD', clock_timestamp() + interval '1 day' FROM generate_series(1, {count}) RETURNING id
), lines AS (
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT placed.id, product_id, 1, 2 FROM placed, unnest(ARRAY[{products}]) AS product_id
), event AS (
    INSERT INTO order_events (id, order_id, sequence, type) SELECT gen_random_uuid(), id, 1, 'order.placed' FROM placed
), message AS (
    INSERT INTO outbox (queue, task, subject_id) SELECT 'orders', 'orders.process', id FROM placed
)
SELECT min(id), max(id) FROM placed
"""

# Of a thousand products: which an order takes, by its id.
TWO_OF_MANY, ONE_OF_MANY, ALL_THE_SAME = "1 + id % 900, 51 + id % 900", "1 + id % 900", "1"

# Seconds between two looks: a thousandth of what is measured.
LOOK = 0.002

# Seconds after which a backlog that does not shrink to nothing is a fault.
PATIENCE = 90


def orders(database: str, count: int, products: str = TWO_OF_MANY) -> tuple[int, int]:
    """Add pending orders with all that a POST writes; return the first and the last id."""
    ((first, last),) = sql(database, _ORDERS.format(count=count, products=products))
    sql(database, "VACUUM ANALYZE")  # so that no contestant is measured with the statistics of an empty table
    return first, last


def messages(database: str, count: int, *, later: bool = False, vacuumed: bool = True) -> int:
    """Add outbox rows that the relay does not coalesce; return the first id.

    Where a relay runs already, the vacuum would let it be half done before anybody looks.
    """
    statement = """
        WITH added AS (
            INSERT INTO outbox (queue, task, subject_id, available_at)
            SELECT 'webhooks', 'webhooks.deliver', n, clock_timestamp() + %s * interval '1 day'
            FROM generate_series(1, %s) AS n RETURNING id
        ) SELECT min(id) FROM added
    """
    ((first,),) = sql(database, statement, (int(later), count))
    if vacuumed:
        sql(database, "VACUUM ANALYZE outbox")
    return int(first)


def settle_rate(database: str, table: str, column: str, first: int, last: int) -> float:
    """Wait until all of these have a time; return how many per second had it, without the first and last twentieth.

    The first are slowed by the workers' own start, the last by having no work for all of them.
    """
    count = last - first + 1
    # The last are done last: until then a look finds one of them at once, and takes no time from those who are measured.
    undone = f"SELECT id FROM {table} WHERE id BETWEEN {first} AND {last} AND {column} IS NULL ORDER BY id DESC LIMIT 1"
    await_row(database, f"SELECT ({undone}) IS NULL", PATIENCE)
    ((seconds,),) = sql(
        database,
        f"SELECT extract(epoch FROM percentile_disc(0.95) WITHIN GROUP (ORDER BY {column})"
        f" - percentile_disc(0.05) WITHIN GROUP (ORDER BY {column})) FROM {table} WHERE id BETWEEN %s AND %s",
        (first, last),
    )
    return 0.9 * count / float(seconds)


def leave_rate(database: str, table: str, first: int, count: int) -> float:
    """Watch rows leave in the order of their ids; return how many per second, from the first that goes to the last."""
    connection = connect(database)
    try:
        least = _await_least(connection, table, first, first)
        if not least:
            raise RuntimeError(f"{count} rows left {table} before they were watched; take more")
        began = time.perf_counter()
        after = _await_least(connection, table, least, first + count - 1) or first + count
        return (after - least) / (time.perf_counter() - began)
    finally:
        connection.close()


def _await_least(connection: Any, table: str, known: int, leaving: int) -> int:
    """Return the least id that is left once the row ``leaving`` has gone, 0 if none is; none below ``known`` is there."""
    deadline = time.monotonic() + PATIENCE
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(f"SELECT 1 FROM {table} WHERE id = {leaving}")
            if cursor.fetchone() is None:
                cursor.execute(f"SELECT id FROM {table} WHERE id >= {known} ORDER BY id LIMIT 1")
                found = cursor.fetchone()
                return int(found[0]) if found else 0
            time.sleep(LOOK)
    raise TimeoutError(f"{table} still has {leaving} after {PATIENCE} s")


class Queue:
    """One queue of a broker, looked at from outside."""

    def __init__(self, url: str, name: str) -> None:
        host, _, vhost = url.rpartition("@")[2].partition("/")
        self._connection = amqp.Connection(host, "guest", "guest", virtual_host=vhost)
        self._connection.connect()
        self._name = name

    @property
    def waiting(self) -> int:
        """Return how many messages no worker has taken yet."""
        with self._connection.channel() as channel:
            return int(channel.queue_declare(self._name, passive=True).message_count)

    def purge(self) -> None:
        """Throw away what waits."""
        with self._connection.channel() as channel:
            channel.queue_purge(self._name)

    def rate(self, count: int) -> float:
        """Watch a full queue become empty; return the messages per second between the first and last twentieth."""
        wait_until(lambda: self.waiting < 0.95 * count, PATIENCE, "the workers to begin")
        began, least = time.perf_counter(), self.waiting
        wait_until(lambda: self.waiting < 0.05 * count, PATIENCE, "the workers to finish")
        return (least - self.waiting) / (time.perf_counter() - began)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
