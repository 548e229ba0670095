"""Act: orders are claimed and settled. Claim, then one business transaction for the whole list.

An order that was claimed before without being settled may be what killed its worker: it runs alone, after the others.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from orderapp.database import is_outage, outlast, reading, writing
from orderapp.orders import states
from orderapp.orders.allocation import ItemRow, allocate
from orderapp.orders.states import Claim, Outcome
from orderapp.products import stock

log = structlog.get_logger(__name__)

# Seconds that a settle waits for a database that went away under it, keeping its claim; a restart takes one or two.
PATIENCE = 3

# Seconds after which no further order is claimed alone: the task is killed at 10, and one settle takes milliseconds.
SOLO_TIME = 6

_ITEMS = text("""
SELECT order_id, product_id, quantity, unit_price FROM order_items WHERE order_id = ANY(:ids) ORDER BY order_id, product_id
""")


def process_orders(order_ids: Sequence[int], task_id: str) -> int:
    """Settle those of these orders that are open and that nobody else is at; returns how many this run settled.

    Afterwards each order that was claimed here is confirmed or failed, or waits for its rescue. Safe to call any number
    of times with the same ids, at once, late or out of order. Raises SQLAlchemyError while the database is away.
    """
    began = time.monotonic()
    settled = _process_together(order_ids, task_id)
    for order_id in _interrupted(order_ids) if settled < len(order_ids) else ():
        if time.monotonic() - began > SOLO_TIME:
            break  # the rescuer comes back for the rest
        settled += _process_alone(order_id, task_id)
    return settled


def _interrupted(order_ids: Sequence[int]) -> list[int]:
    with reading() as session:
        return states.interrupted(session, order_ids)


def _process_together(order_ids: Sequence[int], task_id: str) -> int:
    with writing() as session:
        claims = states.claim_new(session, order_ids, task_id)
    if not claims:
        return 0
    try:
        return _settle_patiently(claims, task_id)
    except Exception as error:
        # A bug: the log's reader sees it, and the orders get their next chance alone, so that one cannot fail all.
        if is_outage(error):
            raise
        log.exception("batch failed, its orders run alone", order_ids=[claim.order_id for claim in claims])
    with writing() as session:
        states.release(session, claims, task_id)
    return 0


def _process_alone(order_id: int, task_id: str) -> int:
    try:
        return _claim_and_settle(order_id, task_id)
    except Exception as error:
        # A bug: the log's reader sees it; the lease runs out and the rescuer brings the order back.
        if is_outage(error):
            raise
        log.exception("order failed alone", order_id=order_id)
        return 0


def _claim_and_settle(order_id: int, task_id: str) -> int:
    with writing() as session:
        # Committed before the run: if this order kills the process, the attempt is on record.
        claim = states.claim_interrupted(session, order_id, task_id)
        if claim is None:
            return 0
        if claim.attempts > states.MOST_ATTEMPTS:
            states.settle(session, [Outcome(order_id, None, {"code": "processing_error"})])
            log.error("order failed after its last attempt", order_id=order_id, attempts=states.MOST_ATTEMPTS)
            return 1
    return _settle_patiently([claim], task_id)


def _settle_patiently(claims: Sequence[Claim], task_id: str) -> int:
    """Settle, outlasting a short outage; after a longer one the claim is given back as if it had never been."""
    try:
        return outlast(lambda: _settle(claims, task_id), PATIENCE)
    except SQLAlchemyError as error:
        if is_outage(error):
            # A product locked for minutes is no order's fault. Not even this can be written: then the lease runs out.
            with suppress(SQLAlchemyError), writing() as session:
                states.release(session, claims, task_id, counted=False)
        raise


def _settle(claims: Sequence[Claim], task_id: str) -> int:
    """Decide and write the whole list in one transaction; locks orders, then products, each in id order."""
    with writing() as session:
        held = states.lock_claimed(session, claims, task_id)
        if not held:
            return 0
        items = [ItemRow(*row) for row in session.execute(_ITEMS, {"ids": held})]
        units = stock.lock_stock(session, {item.product_id for item in items})
        outcomes, sales = allocate(held, items, units)
        stock.deduct(session, sales)
        states.settle(session, outcomes)
    return len(held)
