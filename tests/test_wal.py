"""Bytes that a POST, a settle and a relay window write to PostgreSQL's log: the disk waits for them, and every replica.

A test on a server of its own, for the log is the server's. The budgets are a fifth above what was measured.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp.orders.processing import process_orders
from orderapp.outbox.relaying import Relay
from tests.orders.examples import a_task, placed
from tests.sql import one
from tests.test_budgets import WillingPublisher, message

AProduct = Callable[..., int]

# Of a POST with its order, event and message, and of each line.
POST, POSTED_LINE = 1700, 440

# Of each settled order of one line: claim, movement, stock, status, event, and what the claim left to vacuum.
SETTLED = 2700

# Of each row that leaves the outbox.
RELAYED = 140

# Each is done so often and the least counts: a new page or a segment's end comes on top now and then.
TIMES = 4


@pytest.mark.usefixtures("private_postgres")
def test_post_settle_and_relay_write_few_bytes(client: FlaskClient, a_product: AProduct) -> None:
    """For one line and a hundred, and for one order and a hundred."""
    products = [a_product(stock=10_000) for _ in range(100)]
    relay: Any = Relay(WillingPublisher(), message)  # type: ignore[arg-type]

    def posting(lines: int) -> Callable[[], Any]:
        items = [{"product_id": product, "quantity": 1} for product in products[:lines]]
        return lambda: client.post("/api/orders/", json={"items": items})

    def settling(count: int) -> Callable[[], Any]:
        orders = [placed((product, 1)) for product in products[:count]]
        return lambda: process_orders(orders, a_task())

    def relaying(count: int) -> Callable[[], Any]:
        relay.relay_once()
        settling(count)
        return relay.relay_once

    assert 0 < least(posting, 1) < POST + POSTED_LINE
    assert 0 < least(posting, 100) < POST + POSTED_LINE * 100
    assert 0 < least(settling, 1) < SETTLED
    assert 0 < least(settling, 100) < SETTLED * 100
    assert 0 < least(relaying, 1) < RELAYED * 2  # with the commit's own
    assert 0 < least(relaying, 100) < RELAYED * 100


def least(prepare: Callable[[int], Callable[[], Any]], count: int) -> int:
    """Return the bytes that the call wrote which was prepared."""
    return min(written(prepare(count)) for _ in range(TIMES))


def written(call: Callable[[], Any]) -> int:
    """Return how far the log grew."""
    before = position()
    call()
    return position() - before


def position() -> int:
    """Return where the log ends."""
    return int(one("SELECT pg_current_wal_insert_lsn() - '0/0'"))
