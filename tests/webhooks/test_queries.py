"""``orders.webhook_sent``: the latest outcome has reached its receiver."""

from uuid import uuid4

import pytest

from orderapp.database import reading
from orderapp.orders.events import CANCELLED, REOPENED, OrderEvent
from orderapp.webhooks import queries
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.queries import Wanted
from orderapp.webhooks.sending import deliver

from .conftest import Factory, Sql, latest_event, tell
from .receivers import RecordingReceiver, answering


def is_sent(sql: Sql, order_id: int) -> bool:
    """Return what the order says."""
    return bool(sql("SELECT webhook_sent FROM orders WHERE id = :id", id=order_id)[0].webhook_sent)


def delivery_of(sql: Sql, event: OrderEvent) -> int:
    """Return the delivery of an event."""
    return int(sql("SELECT id FROM webhook_deliveries WHERE event_id = :id", id=str(event.id))[0].id)


def cancel(sql: Sql, order_id: int) -> OrderEvent:
    """Do to an order what a cancellation does, as far as webhooks are concerned."""
    sql("UPDATE orders SET status = 'cancelled', webhook_sent = false WHERE id = :id", id=order_id)
    return happen(sql, order_id, CANCELLED)


def happen(sql: Sql, order_id: int, kind: str) -> OrderEvent:
    """Add an event to an order and fan it out."""
    sql("INSERT INTO order_events (id, order_id, sequence, type) VALUES (:id, :order, 3, :type)",
        id=str(uuid4()), order=order_id, type=kind)  # fmt: skip
    event = latest_event(sql, order_id)
    tell(event)
    return event


def test_it_is_true_when_the_outcome_was_received(an_order: Factory, receivers: Receivers, sql: Sql) -> None:
    """Not before."""
    order_id = an_order()
    confirmed = latest_event(sql, order_id)
    tell(confirmed)
    assert not is_sent(sql, order_id)
    deliver([delivery_of(sql, confirmed)], receivers)
    assert is_sent(sql, order_id)


def test_it_stays_false_while_the_receiver_refuses(
    an_order: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """An attempt is no success."""
    order_id = an_order()
    tell(latest_event(sql, order_id))
    receiver.behave = answering(500)
    deliver([delivery_of(sql, latest_event(sql, order_id))], receivers)
    assert not is_sent(sql, order_id)


def test_it_is_about_one_order_only(an_order: Factory, receivers: Receivers, sql: Sql) -> None:
    """The neighbour's webhook proves nothing."""
    mine, other = an_order(), an_order()
    tell(latest_event(sql, mine), latest_event(sql, other))
    deliver([delivery_of(sql, latest_event(sql, mine))], receivers)
    assert (is_sent(sql, mine), is_sent(sql, other)) == (True, False)


def test_an_older_outcome_that_arrives_late_does_not_count(an_order: Factory, receivers: Receivers, sql: Sql) -> None:
    """Confirmed, cancelled, then the first webhook gets through: the receiver does not know of the cancellation."""
    order_id = an_order()
    confirmed = latest_event(sql, order_id)
    tell(confirmed)
    cancelled = cancel(sql, order_id)
    deliver([delivery_of(sql, confirmed)], receivers)
    assert not is_sent(sql, order_id)
    deliver([delivery_of(sql, cancelled)], receivers)
    assert is_sent(sql, order_id)


def test_a_reopened_order_has_told_nothing(an_order: Factory, receivers: Receivers, sql: Sql) -> None:
    """Its failure may still arrive, but the order is open again and its outcome unknown."""
    order_id = an_order(quantity=4)
    failed = latest_event(sql, order_id)
    tell(failed)
    happen(sql, order_id, REOPENED)
    deliver([delivery_of(sql, failed)], receivers)
    assert not is_sent(sql, order_id)


def test_an_order_without_deliveries_has_told_nothing(an_order: Factory) -> None:
    """No endpoint, or one added later: false."""
    order_id = an_order()
    with reading() as session:
        assert queries.all_received(session, [order_id]) == []


@pytest.mark.parametrize(("state", "found"), [(None, 2), ("pending", 1), ("succeeded", 1), ("exhausted", 0)])
def test_deliveries_are_listed_newest_first_by_state_and_order(
    a_delivery: Factory, receivers: Receivers, sql: Sql, state: str | None, found: int
) -> None:
    """With what became of the last attempt."""
    first, second = a_delivery(), a_delivery()
    deliver([first], receivers)
    order_id = sql("SELECT order_id FROM webhook_deliveries WHERE id = :id", id=second)[0].order_id
    with reading() as session:
        rows = queries.deliveries(session, Wanted(state), 10)
        assert len(rows) == found
        assert [row.id for row in queries.deliveries(session, Wanted(order_id=order_id), 10)] == [second]
        assert [row.id for row in queries.deliveries(session, Wanted(), 1)] == [second]
        assert [(row.status_code, row.error) for row in queries.deliveries(session, Wanted("succeeded"), 10)] == [(200, None)]
