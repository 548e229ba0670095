"""Clocks that are set while orders are on their way: the service's hosts', one worker's, PostgreSQL's."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.world import World
from tests.servers import postgres
from tests.servers.clocks import SEEN, Clock
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

HOUR = 3600

# Seconds: above Beat's 5 s and two rounds of a busy machine; far below any of the jumps.
RESCUED = 40


@pytest.fixture(scope="module")
def clocks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clock]:
    """Return the clock of the service, of its worker, and of PostgreSQL."""
    folder = tmp_path_factory.mktemp("clocks")
    return {name: Clock(folder / name) for name in ("service", "worker", "database")}


@pytest.fixture(scope="module")
def own_database(clocks: dict[str, Clock], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a database on a server with a clock of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clocks["database"].of_programs.items():
            patch.setenv(name, value)
        server: Any
        server, url = postgres.start_server(tmp_path_factory.mktemp("postgres"))
    try:
        postgres.migrate(url)
        yield url
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shop(world: World, clocks: dict[str, Clock]) -> World:
    """Give a shop whose clocks can be set; webhooks go from a worker with the right time, or no receiver would take them."""
    started, hosts = world.processes, clocks["service"].of_python
    return world.start(
        web=started.web(**hosts),
        relay=started.relay(**hosts),
        beat=started.beat(**hosts),
        worker=started.worker(queues="orders,maintenance", **clocks["worker"].of_python),
        worker2=started.worker(queues="webhooks"),
    )


@pytest.fixture(autouse=True)
def right_time(clocks: dict[str, Clock]) -> Iterator[None]:
    """Set all clocks right afterwards."""
    yield
    for clock in clocks.values():
        clock.set(0)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_the_hosts_of_the_service_jump_by_an_hour(shop: World, clocks: dict[str, Clock], jump: int) -> None:
    """Leases, rescues and due times are PostgreSQL's; Beat goes on sending although its last message lies in the future."""
    lamp = shop.product()
    order_ids = shop.place_many([{lamp: 1}] * 20)
    clocks["service"].set(jump)
    clocks["worker"].set(jump)
    order_ids += shop.place_many([{lamp: 1}] * 20)
    shop.wait_settled(order_ids)
    order_ids.append(shop.lose_a_message())
    shop.wait_settled(order_ids, RESCUED)
    shop.check()
    assert shop.statuses(order_ids) == {"confirmed"}


def test_a_worker_that_is_half_a_minute_ahead_takes_what_beat_sends(shop: World, clocks: dict[str, Clock]) -> None:
    """Beat's messages expire by the clock of who reads them; hosts without NTP are apart by more than Beat's interval."""
    clocks["worker"].set(30)
    for _ in range(2):  # the first may be rescued before the worker sees its clock
        order_id = shop.lose_a_message()
        shop.wait_settled([order_id], RESCUED)
    shop.check()


def test_postgresql_jumps_ahead_by_an_hour(shop: World, clocks: dict[str, Clock]) -> None:
    """All leases end at once, and everything waiting is due: two runs of an order are told apart by their claims."""
    lamp = shop.product()
    order_ids = shop.place_many([{lamp: 1}] * 50)
    clocks["database"].set(HOUR)
    order_ids += shop.place_many([{lamp: 1}] * 50)
    shop.wait_settled(order_ids)
    shop.check()
    assert shop.statuses(order_ids) == {"confirmed"}
    assert shop.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000_000 - 100


def test_postgresql_jumps_back_and_what_is_due_later_waits_that_long(shop: World, clocks: dict[str, Clock]) -> None:
    """New orders are served at once; what had a time already waits until the clock has caught up: slew it, do not step it."""
    with shop.held_up(shop.relay):
        before = shop.place({shop.product(): 1})
        clocks["database"].set(-HOUR)
        # Not this connection's alone: one that has looked a moment ago, as that of the POST, goes by the old time until SEEN.
        seen = time.monotonic() + 2 * SEEN
        wait_until(
            lambda: time.monotonic() > seen and shop.value("SELECT available_at > now() FROM outbox"),
            RESCUED,
            "PostgreSQL to see its clock",
        )
    after = shop.place({shop.product(): 1})
    shop.wait_settled([after])
    assert shop.statuses([before]) == {"pending"}
    clocks["database"].set(0)
    shop.wait_settled([before])
    shop.check()
