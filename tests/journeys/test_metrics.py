"""What each process shows of its work: the sum of all its children's."""

import time

import pytest
import requests

from tests.journeys.world import REST, World
from tests.servers.processes import Processes
from tests.servers.sockets import listeners, sockets
from tests.servers.waiting import a_place, wait_until

pytestmark = pytest.mark.rabbitmq

SETTLED = 'orderapp_task_seconds_count{outcome="done",task="orders.process"}'


def summed(shop: World, name: str) -> float:
    """Return a sample, summed up over the two relays and two workers."""
    return sum(process.metrics.get(name, 0) for process in (shop.relay, shop.relay2, shop.worker, shop.worker2))


def test_an_order_leaves_its_traces_at_every_process_on_its_way(shop: World) -> None:
    """Web counts the POST, a relay its message and the confirm, a worker's child the task; PostgreSQL knows the outcome."""
    published = 'orderapp_relay_message_ids_sum{queue="orders"}'
    confirmed = 'orderapp_relay_confirm_seconds_count{queue="orders"}'
    posted = 'orderapp_request_seconds_count{method="POST",route="/api/orders/",status="201"}'
    before = {name: summed(shop, name) for name in (published, confirmed, SETTLED)}
    posts = shop.web.metrics.get(posted, 0)

    order_id = shop.place({shop.product(): 1})
    shop.wait_settled([order_id])

    assert shop.web.metrics[posted] == posts + 1
    wait_until(lambda: all(summed(shop, name) > before[name] for name in before), REST, "the traces of an order")
    assert summed(shop, 'orderapp_broker_reachable{process="relay"}') >= 1

    def outcome_is_known() -> bool:  # within the seconds for which one look serves
        return shop.web.metrics.get('orderapp_recent_events{type="order.confirmed"}', 0) >= 1

    wait_until(outcome_is_known, REST, "the outcome")


def test_a_worker_tells_what_waits_in_the_broker(shop: World) -> None:
    """Dead letters too; it looks every few seconds."""
    queues = {f'orderapp_broker_messages{{queue="{name}"}}' for name in ("orders", "webhooks", "maintenance", "orderapp.dead")}
    for worker in (shop.worker, shop.worker2):
        wait_until(lambda worker=worker: queues <= worker.metrics.keys(), REST, "the lengths of all queues")


def test_a_stranger_learns_nothing_from_any_of_them(shop: World) -> None:
    """What a proxy brings is a stranger."""
    for process in (shop.web, shop.relay, shop.worker):
        assert requests.get(process.metrics_url, headers={"X-Forwarded-For": "192.0.2.7"}, timeout=REST).status_code == 403


def test_a_workers_children_do_not_hold_its_port(shop: World) -> None:
    """They outlive a worker that is killed, and its successor would find the port taken."""
    assert sockets(shop.worker.pid) & listeners(), "the worker itself listens"
    assert shop.worker.children
    for child in shop.worker.children:
        assert not sockets(child) & listeners()


@pytest.mark.proof
@pytest.mark.usefixtures("broker")
def test_beat_tells_when_it_last_ticked(processes: Processes) -> None:
    """And goes on telling it."""
    beat = processes.beat(METRICS_LISTEN=a_place())
    wait_until(lambda: sockets(beat.pid) & listeners(), REST, "Beat to listen")
    name = 'orderapp_last_tick_timestamp_seconds{process="beat"}'
    first = beat.metrics[name]
    assert abs(time.time() - first) < REST
    wait_until(lambda: beat.metrics[name] > first, REST, "another tick")
    assert "metrics are not shown" not in beat.text
