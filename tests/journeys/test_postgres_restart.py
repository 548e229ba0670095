"""PostgreSQL is restarted under a working shop: clients hear 503, nothing is counted against an order, everything settles."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.world import World
from tests.servers import postgres
from tests.servers.waiting import wait_until

log = logging.getLogger(__name__)

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a migrated server that may be stopped."""
    server, url = postgres.start_server(tmp_path_factory.mktemp("postgres"))
    try:
        postgres.migrate(url)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def own_database(server: Any) -> str:
    """Return the URL of its database."""
    return str(server.url)


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop on the server that may be stopped."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay(), worker=started.worker(), beat=started.beat())


def test_500_queued_orders_outlive_restarts_of_postgres(shop: World, server: Any) -> None:
    """Fast shutdown and start, twice, while the worker is at it: an outage is not poison."""
    lamp = shop.product()
    with shop.held_up(shop.worker):
        order_ids = shop.place_many([{lamp: 1}] * 500)
        wait_until(shop.outbox_is_empty, 30, "the relay to hand over 500 orders")
    total, left = shop.open_orders(), []
    for share in (0.9, 0.5):
        wait_until(lambda share=share: shop.open_orders() < total * share, 30, "the worker to be at it")
        server.stop()
        server.start()
        left.append(shop.open_orders())
    shop.wait_settled(order_ids)
    shop.check()

    attempts = shop.rows("SELECT attempts, count(*) FROM orders GROUP BY attempts ORDER BY attempts")
    log.info("open after each restart: %s of 500; orders by attempts: %s", left, attempts)
    assert left[-1] > 0, "the restarts came too late to mean anything"
    assert shop.statuses(order_ids) == {"confirmed"}
    assert shop.attempts(order_ids) <= {1, 2}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - 500


def test_while_postgres_is_away_a_post_says_so_and_the_next_one_works(shop: World, server: Any) -> None:
    """503 with Retry-After, never a 500 and never an order; relay, worker and web go on by themselves afterwards."""
    lamp = shop.product()
    server.stop()
    answer = shop.send({lamp: 1})
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    server.start()

    order_id = shop.place({lamp: 1})
    shop.wait_settled([order_id])
    shop.check()
    assert shop.value("SELECT count(*) FROM order_items WHERE product_id = %s", lamp) == 1
    assert all(one.exit_code is None for one in (shop.web, shop.relay, shop.worker, shop.beat))
