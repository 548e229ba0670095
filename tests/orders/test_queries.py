"""Reading orders."""

from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import pytest

from orderapp.database import reading, writing
from orderapp.orders import states
from orderapp.orders.processing import process_orders
from orderapp.orders.queries import event_snapshots, get_order, processing_of
from tests.orders.examples import ANONYMOUS, TASK, placed
from tests.sql import one, sql

AProduct = Callable[..., int]


def test_an_owner_sees_his_order_and_nobody_elses(a_product: AProduct) -> None:
    """The operator (no client) sees all."""
    stranger = one("INSERT INTO api_clients (name) VALUES ('Charlie') RETURNING id")
    foreign = placed((a_product(), 1), client_id=stranger)
    with reading() as session:
        assert get_order(session, foreign, client_id=ANONYMOUS) is None
        for who in (stranger, None):
            view = get_order(session, foreign, client_id=who)
            assert view is not None
            assert view.id == foreign


def test_items_come_in_the_order_of_their_ids(a_product: AProduct) -> None:
    """The same at every look."""
    products = [a_product(name=f"Thing {number}") for number in range(5)]
    order_id = placed(*((product, 1) for product in products[::-1]))
    with reading() as session:
        view = get_order(session, order_id)
    assert view is not None
    assert [item.id for item in view.items] == [1, 2, 3, 4, 5]
    assert [item.product for item in view.items] == [f"Thing {number}" for number in range(5)]


def test_an_event_shows_its_order_as_it_was_then(a_product: AProduct) -> None:
    """A webhook that is sent late tells of its own moment, not of today's."""
    order_id = placed((a_product(price="2.50"), 2))
    process_orders([order_id], TASK)
    with writing() as session:
        states.cancel(session, order_id)
        states.set_webhook_sent(session, [order_id])
    ids = [row.id for row in sql("SELECT id FROM order_events ORDER BY sequence")]

    with reading() as session:
        confirmed, cancelled = (event_snapshots(session, [event_id]).popitem()[1] for event_id in ids[1:])

    assert (confirmed.type, confirmed.sequence) == ("order.confirmed", 2)
    assert (confirmed.order.status, confirmed.order.total_amount) == ("confirmed", Decimal("5.00"))
    assert (cancelled.order.status, cancelled.order.webhook_sent) == ("cancelled", False)


def test_a_failure_is_shown_with_its_reason(a_product: AProduct) -> None:
    """Even after an operator has reopened the order."""
    order_id = placed((a_product(stock=0), 1))
    process_orders([order_id], TASK)
    with writing() as session:
        states.reopen(session, order_id)
    with reading() as session:
        (failed,) = event_snapshots(session, [one("SELECT id FROM order_events WHERE type = 'order.failed'")]).values()
    assert (failed.order.status, failed.order.total_amount) == ("failed", None)
    assert failed.order.failure_reason is not None
    assert failed.order.failure_reason["code"] == "insufficient_stock"


@pytest.mark.usefixtures("app")
def test_an_event_that_does_not_exist_is_left_out() -> None:
    """Events are never deleted: only somebody with a bug asks for such a one."""
    with reading() as session:
        assert event_snapshots(session, [uuid4()]) == {}


def test_the_operator_sees_the_claim_and_the_history(a_product: AProduct) -> None:
    """What a person needs to tell a slow order from a stuck one."""
    order_id = placed((a_product(), 1))
    process_orders([order_id], TASK)
    with reading() as session:
        progress = processing_of(session, order_id)
    assert (str(progress["task_id"]), progress["attempts"], progress["lease_until"]) == (TASK, 1, None)
    assert [event["type"] for event in progress["events"]] == ["order.placed", "order.confirmed"]


def test_a_webhook_mark_is_set_for_these_orders_only(a_product: AProduct) -> None:
    """The neighbour's webhook is still on its way."""
    product_id = a_product()
    told, untold = placed((product_id, 1)), placed((product_id, 1))
    with writing() as session:
        states.set_webhook_sent(session, [told])
    assert sql("SELECT id, webhook_sent FROM orders ORDER BY id") == [(told, True), (untold, False)]
