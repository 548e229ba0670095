"""The network between the service and its servers is slow, chops, breaks, swallows: late answers, no lost or doubled order."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import requests

from tests.journeys.world import World
from tests.servers.links import Link, Network, a_network
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# Seconds that a slow link keeps what passes, each way; bytes of a slice.
LATENCY, SLICE = 0.1, 20

# Seconds that a fault lasts: longer than a connection attempt may take (3).
FAULT = 4

# Seconds for what is soon, on a busy machine.
SOON = 60

FAULTS = ("slow", "chopped", "reset", "swallowed", "half open")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Give the network between them."""
    with a_network() as network:
        yield network


@pytest.fixture(scope="module")
def shop(world: World, network: Network) -> World:
    """Give a shop whose every process has links of its own."""
    started, both = world.processes, ("PostgreSQL", "RabbitMQ")

    def wires(process: str, *servers: str) -> dict[str, str]:
        return network.wires(process, started.environment, *servers)

    return world.start(
        web=started.web(**wires("web", "PostgreSQL")),
        relay=started.relay(**wires("relay", *both)),
        worker=started.worker(**wires("worker", *both, "receiver")),
        beat=started.beat(**wires("beat", "RabbitMQ")),
    )


def _befall(links: list[Link], fault: str) -> None:
    for link in links:
        match fault:
            case "slow":
                link.slow(LATENCY)
            case "chopped":
                link.chop(SLICE)
            case "reset":
                link.reset()
            case "swallowed":
                link.swallow()
            case "half open":
                link.half_open()


def _links(network: Network, server: str) -> list[Link]:
    return [link for name, link in network.links.items() if name.endswith(f" - {server}")]


def _sent(orders: list["Future[requests.Response]"]) -> list[requests.Response]:
    return [order.result() for order in orders if order.exception() is None]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("server", ["PostgreSQL", "RabbitMQ", "receiver"])
def test_orders_outlive_what_a_network_does(shop: World, network: Network, server: str, fault: str) -> None:
    """Placed before, during and after: who was answered 201 is served once. Only PostgreSQL's link delays or fails a POST.

    All processes live, and what Beat sends arrives again afterwards.
    """
    lamp = shop.product()
    before = shop.place_many([{lamp: 1}] * 3)
    with ThreadPoolExecutor(3) as clients:
        _befall(_links(network, server), fault)
        during = [clients.submit(shop.send, {lamp: 1}) for _ in range(3)]
        for link in network.links.values():
            link.heal_after(FAULT)
        done = _sent(during)
    taken = [answer.json()["id"] for answer in done if answer.status_code == 201]
    wait_until(lambda: not any(link.is_ill for link in network.links.values()), SOON, "the end of the fault")
    after = shop.lose_a_message()
    shop.wait_settled([*before, *taken, after])
    shop.check()

    assert {answer.status_code for answer in done} <= ({201, 503} if server == "PostgreSQL" else {201})
    if server != "PostgreSQL" or fault in {"slow", "chopped"}:
        assert len(taken) == 3
    assert shop.statuses([*before, *taken, after]) == {"confirmed"}
    assert all(one.exit_code is None for one in (shop.web, shop.relay, shop.worker, shop.beat))
    assert " 500 " not in shop.web.text
