"""An audit that runs while everything happens reports nothing that is not so."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from flask import Flask

from orderapp.errors import ConflictError
from orderapp.monitoring.auditing import Scope, audit
from orderapp.orders.cancelling import cancel_order
from orderapp.orders.processing import process_orders
from orderapp.orders.rescuing import rescue_orders
from orderapp.orders.retrying import retry_order
from orderapp.products.editing import create_product, restock_product
from tests.monitoring.every_state import ENDPOINT, answer_webhooks
from tests.orders.examples import a_task, placed
from tests.sql import one, sql

pytestmark = pytest.mark.settings(**ENDPOINT)

Make = Callable[..., int]

# Audits of each kind while the load runs; ten take some seconds, in which hundreds of orders are placed and settled.
AUDITS = 10


def place(products: list[int]) -> None:
    """Order some of two products; one of them is short."""
    placed(*((product_id, random.randint(1, 3)) for product_id in random.sample(products, 2)))


def settle(_products: list[int]) -> None:
    """Do what a worker does with whatever is open."""
    process_orders([row.id for row in sql("SELECT id FROM orders WHERE status = 'pending' LIMIT 20")], a_task())


def change_mind(products: list[int]) -> None:
    """Do what operators do: cancel, retry, restock."""
    with suppress(ConflictError):
        rows = sql("SELECT id, status FROM orders WHERE status IN ('pending', 'confirmed', 'failed') ORDER BY random() LIMIT 1")
        for row in rows:
            retry_order(row.id, "Alice") if row.status == "failed" else cancel_order(row.id, "Alice")
    restock_product(random.choice(products), 1, "found", "Alice")


def tell(_products: list[int]) -> None:
    """Do what the webhook worker does."""
    answer_webhooks(random.choice([200, 200, 500]))


def rescue(_products: list[int]) -> None:
    """Do what beat has done, and make a product."""
    rescue_orders()
    create_product("Lamp", one("SELECT 1.5"), 3)


@contextmanager
def load(app: Flask, products: list[int]) -> Iterator[list[BaseException]]:
    """Let everybody work at once while the block runs; gives what went wrong."""
    over, faults = threading.Event(), []

    def work(step: Callable[[list[int]], None]) -> None:
        with app.app_context():
            while not over.is_set():
                try:
                    step(products)
                except Exception as error:  # noqa: BLE001 - the test shows it
                    faults.append(error)
                    return

    threads = [
        threading.Thread(target=work, args=(step,)) for step in (place, place, settle, settle, change_mind, tell, rescue)
    ]
    for thread in threads:
        thread.start()
    try:
        yield faults
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("everything", [True, False])
def test_an_audit_under_load_reports_nothing_false(app: Flask, a_product: Make, everything: bool) -> None:
    """One snapshot: half a transaction is never seen."""
    products = [a_product(stock=stock) for stock in (5000, 5000, 20)]
    with load(app, products) as faults:
        reports = [audit(Scope(everything=everything, webhooks=True)) for _ in range(AUDITS)]
    assert not faults
    assert [report.violations for report in reports] == [()] * AUDITS
    assert one("SELECT count(*) FROM orders") > reports[0].orders
    assert audit(Scope(everything=True, webhooks=True)).consistent
    assert one("SELECT count(DISTINCT status) FROM orders WHERE status IN ('confirmed', 'failed', 'cancelled')") == 3


def test_two_audits_at_once_leave_one_mark_and_right_balances(app: Flask, a_product: Make) -> None:
    """The second finds the mark moved and leaves it."""
    products = [a_product(stock=stock) for stock in (5000, 5000, 20)]
    faults: list[BaseException] = []

    def audits() -> None:
        with app.app_context():
            for _ in range(5):
                report = audit(Scope(webhooks=True))
                if not report.consistent:
                    faults.append(AssertionError(report))

    with load(app, products) as others:
        threads = [threading.Thread(target=audits) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not [*faults, *others]
    assert audit(Scope(everything=True, webhooks=True)).consistent
