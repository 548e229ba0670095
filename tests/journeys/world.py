"""One shop with everything it runs on: a database, a virtual host, a webhook receiver and the processes of the product."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import requests

from tests.journeys import consistency
from tests.journeys.messages import Messages
from tests.servers.processes import Process, Processes
from tests.servers.receiver import Received, Receiver
from tests.servers.waiting import wait_until

# Seconds in which everything that a test set in motion comes to rest, on a machine that does other things too.
REST = 60

# Seconds for one POST: far above any that is well, far below what a hanging one would take.
REQUEST = 10

FINAL = {"confirmed", "failed", "cancelled"}

TABLES = (
    "products",
    "orders",
    "order_items",
    "stock_movements",
    "order_events",
    "outbox",
    "webhook_deliveries",
    "webhook_attempts",
)

_OPENING = """
WITH product AS (INSERT INTO products (name, price, stock) VALUES (%s, %s, %s) RETURNING id, stock)
INSERT INTO stock_movements (product_id, delta, kind) SELECT id, stock, 'opening' FROM product RETURNING product_id
"""

# What waiting until the leases and timers run out does.
# Locked by id first, as the product locks: in the order of the table they would deadlock with a settling worker.
_HURRY_ORDERS = """
WITH open AS MATERIALIZED (
    SELECT id FROM orders WHERE status IN ('pending', 'processing') ORDER BY id FOR NO KEY UPDATE)
UPDATE orders SET rescue_at = now(), lease_until = CASE WHEN lease_until IS NOT NULL THEN now() END
FROM open WHERE orders.id = open.id AND status IN ('pending', 'processing')
"""
_HURRY_DELIVERIES = """
WITH open AS MATERIALIZED (
    SELECT id FROM webhook_deliveries WHERE state = 'pending' AND due_at <= now() ORDER BY id FOR NO KEY UPDATE)
UPDATE webhook_deliveries SET rescue_at = now(), lease_until = CASE WHEN lease_until IS NOT NULL THEN now() END
FROM open WHERE webhook_deliveries.id = open.id AND state = 'pending'
"""


class World:
    """Starts nothing by itself; a module's fixture says which processes its tests share."""

    web: Process
    relay: Process
    relay2: Process
    worker: Process
    worker2: Process
    beat: Process

    def __init__(self, database_url: str, broker_url: str, folder: Path) -> None:
        """Have a receiver, and processes that know all three."""
        self.database_url = database_url
        self.messages = Messages(broker_url)
        self.receiver = Receiver()
        environment = {"DATABASE_URL": database_url, "CELERY_BROKER_URL": broker_url, **self.receiver.environment}
        self.processes = Processes(environment, folder)
        self._connection: Any = None
        self._verified = 0

    def start(self, **processes: Process) -> "World":
        """Make the started processes attributes of the world, and wait until each is ready."""
        for name, process in processes.items():
            setattr(self, name, process)
        for process in processes.values():
            process.wait_ready()
        return self

    def end(self) -> None:
        """Leave nothing behind."""
        self.processes.end()
        self.receiver.stop()
        self._disconnect()

    # The shop

    def product(self, stock: int = 1_000_000, price: str = "2.50") -> int:
        """Create a product and return its id."""
        return int(self.value(_OPENING, f"Product {uuid4()}", price, stock))

    def send(self, lines: Mapping[int, int], session: requests.Session | None = None, url: str = "") -> requests.Response:
        """POST an order of quantities by product id, and return whatever comes back."""
        items = [{"product_id": product, "quantity": quantity} for product, quantity in lines.items()]
        return self.send_items(items, session, url)

    def send_once(self, lines: Mapping[int, int], key: str) -> requests.Response:
        """POST an order under an idempotency key, and return whatever comes back."""
        with requests.Session() as session:
            session.headers["Idempotency-Key"] = key
            return self.send(lines, session)

    def send_items(
        self, items: list[dict[str, int]], session: requests.Session | None = None, url: str = ""
    ) -> requests.Response:
        """POST an order of these items as they are, and return whatever comes back."""
        return (session or requests).post(f"{url or self.web.url}/api/orders/", json={"items": items}, timeout=REQUEST)

    def place(self, lines: Mapping[int, int], session: requests.Session | None = None) -> int:
        """POST an order and return its id; it must be taken."""
        answer = self.send(lines, session)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def place_many(self, orders: Sequence[Mapping[int, int]], clients: int = 4) -> list[int]:
        """Let several clients POST these orders at once; returns the ids."""
        with requests.Session() as session, ThreadPoolExecutor(clients) as pool:
            return list(pool.map(lambda lines: self.place(lines, session), orders))

    def order(self, order_id: int) -> dict[str, Any]:
        """GET an order."""
        answer = requests.get(f"{self.web.url}/api/orders/{order_id}/", timeout=REQUEST)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def webhooks(self, order_id: int) -> list[Received]:
        """Return what the receiver got about an order."""
        return [request for request in list(self.receiver.requests) if request.json()["data"]["id"] == order_id]

    def wait_webhooks(self, order_id: int, count: int, seconds: float = REST) -> None:
        """Return when the receiver got so many."""
        wait_until(lambda: len(self.webhooks(order_id)) >= count, seconds, f"{count} webhooks of order {order_id}")

    @contextmanager
    def held_up(self, *processes: Process) -> Iterator[None]:
        """Freeze these processes while the block runs."""
        for process in processes:
            process.kill(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.kill(signal.SIGCONT)

    # The database

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; connects again when the server was restarted in between."""
        try:
            return self._rows(statement, values)
        except psycopg2.Error:
            # Of any kind: a server that died in the middle of its answer is a plain DatabaseError to psycopg2.
            self._disconnect()
            return self._rows(statement, values)

    def value(self, statement: str, *values: Any) -> Any:
        """Run one statement and return the first value."""
        return self.rows(statement, *values)[0][0]

    def statuses(self, order_ids: Sequence[int]) -> set[str]:
        """Return the statuses that occur among these orders."""
        return {status for (status,) in self.rows("SELECT DISTINCT status FROM orders WHERE id = ANY(%s)", list(order_ids))}

    def attempts(self, order_ids: Sequence[int]) -> set[int]:
        """Return how often these orders were claimed."""
        return {number for (number,) in self.rows("SELECT DISTINCT attempts FROM orders WHERE id = ANY(%s)", list(order_ids))}

    def open_orders(self) -> int:
        """Return how many orders are not final."""
        return int(self.value("SELECT count(*) FROM orders WHERE status IN ('pending', 'processing')"))

    def outbox_is_empty(self) -> bool:
        """Tell whether the relay has published everything."""
        return not self.value("SELECT count(*) FROM outbox")

    def wait_settled(self, order_ids: Sequence[int], seconds: float = REST) -> None:
        """Return when all these orders are final."""
        wait_until(lambda: self.statuses(order_ids) <= FINAL, seconds, f"the end of {len(order_ids)} orders")

    def hurry(self) -> None:
        """Let all leases end and all rescues be due now."""
        self.rows(_HURRY_ORDERS)
        self.rows(_HURRY_DELIVERIES)

    def rescue(self) -> None:
        """Let the time pass that a rescue waits for, and say what beat says every few seconds."""
        self.hurry()
        self.messages.send("orders.rescue")
        self.messages.send("webhooks.rescue")

    def lose_a_message(self) -> int:
        """Return an order whose message is gone and whose rescue is due: only what Beat sends next can wake it.

        Gone from the outbox: what a worker has fetched, even a frozen one, is not lost with its queue.
        """
        with self.held_up(self.relay):
            order_id = self.place({self.product(): 1})
            lost = self.rows("DELETE FROM outbox WHERE subject_id = %s AND task = 'orders.process' RETURNING id", order_id)
        assert len(lost) == 1
        self.hurry()
        return order_id

    def snapshot(self) -> list[tuple[Any, ...]]:
        """Return all that the tables hold, as digests; equal ones mean that nothing changed."""
        digest = "SELECT '{0}', md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {0} t"
        return [self.rows(digest.format(table))[0] for table in TABLES]

    # The check

    def check(self, *, endpoint: bool = True, seconds: float = REST) -> None:
        """Wait until nothing moves any more, then require that the database and the receiver agree with each other."""
        wait_until(lambda: not self._unrest(), seconds, "the world to come to rest")
        faults = self._faults(endpoint=endpoint)
        assert not faults, "\n".join(faults)
        bodies: dict[str, set[bytes]] = {}
        requests = list(self.receiver.requests)
        for request in requests[self._verified :]:  # each once: after five minutes a signature counts as a replay
            request.verify()
        self._verified = len(requests)
        for request in requests:
            bodies.setdefault(request.id, set()).add(request.body)
        received = {str(event) for (event,) in self.rows("SELECT event_id FROM webhook_deliveries WHERE state = 'succeeded'")}
        assert received <= set(bodies), "a delivery counts as received that nobody received"
        assert all(len(each) == 1 for each in bodies.values()), "one event was told in two ways"
        known = {str(event) for (event,) in self.rows("SELECT event_id FROM webhook_deliveries")}
        assert set(bodies) <= known, "a webhook without a delivery arrived"

    def _unrest(self) -> list[str]:
        with self._cursor() as cursor:
            return consistency.unrest(cursor)

    def _faults(self, *, endpoint: bool) -> list[str]:
        with self._cursor() as cursor:
            return consistency.faults(cursor, endpoint=endpoint)

    def _rows(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def _cursor(self) -> Any:
        if self._connection is None:
            self._connection = psycopg2.connect(self.database_url)
            self._connection.autocommit = True
        return self._connection.cursor()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
