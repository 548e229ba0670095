"""Every kill point, three ways to fail: a kill, an error nobody expects, a lost connection. Then the audit."""

import time
from contextlib import suppress

import pytest
import requests

from tests.crashes.doom import Doom
from tests.journeys.world import World
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

ORDERS = 10

# Seconds until everything is final, with leases and waits passed by SQL.
LONGEST = 60

# The day before yesterday and yesterday, in whatever time zone.
DAYS = 2

# The kill points of docs/way-of-data.md, by the process that comes there.
WEB = ["orders.placing:place_order:after_commit"]
RELAY = [f"outbox.relaying:publish:{point}" for point in ("claimed", "sent", "confirmed")]
WORKER = [
    "orders.processing:process_together:after_commit",
    "orders.processing:settle:before_commit",
    "orders.processing:settle:after_commit",
    "orders.process:returned",
    "orders.process:before_ack",
    "webhooks.sending:send:before_post",
    "webhooks.sending:send:posted",
]

ACTIONS = ("kill", "raise", "reset")


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop without a worker."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay())


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", WEB)
def test_a_web_process_that_fails(shop: World, doom: Doom, point: str, action: str) -> None:
    """Its client hears nothing, 500 or 503; what was committed is settled."""
    lamp = shop.product()
    web = doom.web(point, action).wait_ready()
    doom.worker()
    with suppress(requests.ConnectionError):
        shop.send({lamp: 1}, url=web.url)
    doom.wait()
    assert shop.value("SELECT count(*) FROM order_items WHERE product_id = %s", lamp) == 1
    _place(shop, lamp)
    _come_to_rest(shop, lamp)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", RELAY)
def test_a_relay_that_fails(shop: World, doom: Doom, point: str, action: str) -> None:
    """Its rows are still there; the other relay, or itself, publishes them."""
    lamp = shop.product()
    with shop.held_up(shop.relay):
        _place(shop, lamp)
        doom.relay(point, action)
        doom.wait()
    doom.worker()
    _come_to_rest(shop, lamp)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", WORKER)
def test_a_worker_that_fails(shop: World, doom: Doom, point: str, action: str) -> None:
    """Its message comes again, or the rescuer comes."""
    lamp = shop.product()
    with shop.held_up(shop.relay):
        _place(shop, lamp)
    doom.worker(point, action)
    doom.wait()
    if point.endswith("before_ack"):  # in the worker's first process, which nobody replaces
        doom.worker()
    _come_to_rest(shop, lamp)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_rescue_of_orders_that_fails(shop: World, doom: Doom, action: str) -> None:
    """What it had begun is undone; the next one does it."""
    lamp = shop.product()
    with shop.held_up(shop.relay):
        _place(shop, lamp)
        shop.rows("DELETE FROM outbox")
    doom.worker("orders.rescuing:rescue_orders:before_commit", action).wait_ready()
    shop.rescue()
    doom.wait()
    _come_to_rest(shop, lamp)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_rescue_of_webhooks_that_fails(shop: World, doom: Doom, action: str) -> None:
    """The same for deliveries."""
    lamp = shop.product()
    worker = doom.worker("webhooks.rescuing:rescue_deliveries:before_commit", action, queues="orders,maintenance")
    shop.wait_settled(_place(shop, lamp))
    worker.wait_ready()
    wait_until(lambda: shop.outbox_is_empty() and shop.messages.purge("webhooks"), 20, "the deliveries' messages")
    shop.rescue()
    doom.wait()
    doom.worker(queues="webhooks")
    _come_to_rest(shop, lamp)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_summary_that_fails(shop: World, doom: Doom, action: str) -> None:
    """The day stays as it was, and the next tick finds it missing."""
    lamp = shop.product()
    _place(shop, lamp)
    shop.rows("UPDATE orders SET created_at = now() - interval '2 days' WHERE id = (SELECT min(id) FROM orders)")
    shop.rows("DELETE FROM daily_sales")
    doom.worker("reports.summarising:summarise_day:before_commit", action).wait_ready()
    shop.messages.send("reports.summarise", queue="maintenance")
    doom.wait()

    def summarised() -> bool:
        shop.messages.send("reports.summarise", queue="maintenance")
        return bool(shop.value("SELECT count(*) FROM daily_sales") >= DAYS)

    wait_until(summarised, 30, "the missing days")
    _come_to_rest(shop, lamp)


def _place(shop: World, lamp: int) -> list[int]:
    return shop.place_many([{lamp: 1}] * ORDERS)


def _come_to_rest(shop: World, lamp: int) -> None:
    """Let rescues come at once until everything is final; then nothing may be lost, done twice or inconsistent."""
    deadline = time.monotonic() + LONGEST
    while shop.open_orders() or shop.value("SELECT count(*) FROM webhook_deliveries WHERE state = 'pending'"):
        assert time.monotonic() < deadline, f"not everything is final after {LONGEST} s"
        shop.rescue()
        with suppress(AssertionError):  # a message may be in other hands still: rescue again
            wait_until(lambda: not shop.open_orders() and shop.outbox_is_empty(), 3, "the rescued")
    shop.check()
    sold = shop.value("SELECT -sum(delta) FROM stock_movements WHERE product_id = %s AND kind = 'sale'", lamp)
    assert sold == shop.value("SELECT count(*) FROM order_items WHERE product_id = %s", lamp)
    audit = shop.processes.start("audit", "flask", "audit", "--full", "--json")
    wait_until(lambda: audit.exit_code is not None, LONGEST, "flask audit")
    assert audit.exit_code == 0, audit.text
