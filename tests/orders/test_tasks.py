"""The doors for Celery: called as the worker calls them, with a request and its id."""

from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import Reject

from orderapp.orders import tasks
from tests.orders.examples import TASK, a_task, order, placed, statuses
from tests.sql import one, sql

AProduct = Callable[..., int]


def deliver(task: Any, *args: Any, task_id: str | None = TASK, **kwargs: Any) -> None:
    """Call a task as Celery's tracer does when a message came."""
    task.push_request(id=task_id, args=args, kwargs=kwargs, called_directly=False)
    try:
        task.__call__(*args, **kwargs)
    finally:
        task.pop_request()


def test_the_orders_of_a_message_are_settled_under_its_task_id(a_product: AProduct) -> None:
    """What Flower shows and what the order names are one."""
    lamp = a_product()
    ids = [placed((lamp, 1)), placed((lamp, 1))]
    deliver(tasks.process, ids)
    assert statuses() == ["confirmed", "confirmed"]
    assert order(ids[0]).task_id == TASK


def test_arguments_may_come_by_name(a_product: AProduct) -> None:
    """A script may send them so."""
    order_id = placed((a_product(), 1))
    deliver(tasks.process, order_ids=[order_id])
    assert statuses() == ["confirmed"]


def test_an_id_twice_in_a_message_is_one_order(a_product: AProduct) -> None:
    """And ids in any order."""
    lamp = a_product(stock=10)
    first, second = placed((lamp, 1)), placed((lamp, 1))
    deliver(tasks.process, [second, first, second, first])
    assert one("SELECT stock FROM products") == 8
    assert statuses() == ["confirmed", "confirmed"]


@pytest.mark.parametrize("arguments", [(), ([1], 2), ("1",), (1,), ([],), ([True],), ([0],), ([2**63],), (["1"],), (None,)])
def test_a_message_that_names_no_orders_is_dead_lettered(a_product: AProduct, arguments: tuple[Any, ...]) -> None:
    """Refused before any order is touched."""
    placed((a_product(), 1))
    with pytest.raises(Reject) as refusal:
        deliver(tasks.process, *arguments)
    assert refusal.value.requeue is False
    assert statuses() == ["pending"]


@pytest.mark.parametrize("task_id", ["not-a-uuid", "", None])
def test_a_message_whose_task_id_is_no_uuid_is_dead_lettered(a_product: AProduct, task_id: str | None) -> None:
    """A claim needs an owner that the column can hold; the order waits for its rescue, under an id of ours."""
    order_id = placed((a_product(), 1))
    with pytest.raises(Reject) as refusal:
        deliver(tasks.process, [order_id], task_id=task_id)
    assert refusal.value.requeue is False
    assert (order(order_id).status, order(order_id).attempts) == ("pending", 0)


def test_rescue_takes_no_arguments_and_wakes_what_is_overdue(a_product: AProduct) -> None:
    """Beat sends it without any."""
    order_id = placed((a_product(), 1))
    sql("UPDATE orders SET rescue_at = now()")
    sql("DELETE FROM outbox")
    deliver(tasks.rescue, task_id=a_task())
    assert one("SELECT subject_id FROM outbox") == order_id
    deliver(tasks.rescue, task_id=a_task())
    assert one("SELECT count(*) FROM outbox") == 1
    with pytest.raises(Reject):
        deliver(tasks.rescue, 1)


def test_the_pruning_task_prunes(a_product: AProduct) -> None:
    """Without arguments, from Beat."""
    placed((a_product(), 1))
    sql("INSERT INTO idempotency_keys VALUES (1, 'old', decode(repeat('00', 32), 'hex'), 1, '', now() - interval '30 h')")
    deliver(tasks.prune)
    deliver(tasks.prune)
    assert sql("SELECT 1 FROM idempotency_keys") == []
