"""Each process is asked to end (SIGTERM) under load: it ends in time with 0, a sibling goes on, nothing is lost."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.journeys.world import World
from tests.servers.processes import Process
from tests.servers.waiting import wait_until

log = logging.getLogger(__name__)

pytestmark = pytest.mark.rabbitmq

# Seconds that each may take. Docker's ten would kill a worker in the middle of a task, which is no harm but no order either.
WEB, RELAY, WORKER, BEAT = 10, 5, 15, 5

# Orders placed before and after the signal: the process is in the middle of its work.
WARM_UP = 30


class Load:
    """A client that places orders one after the other and remembers which were taken."""

    def __init__(self, world: World) -> None:
        """Order one product only."""
        self.taken: list[int] = []
        self.refused = 0
        self.url = world.web.url
        self.over = threading.Event()
        self._world, self._lines = world, {world.product(): 1}

    def run(self) -> None:
        """Order until told to stop; a lost connection and a 503 are answers that a client knows how to take."""
        while not self.over.is_set():
            try:
                answer = self._world.send(self._lines, url=self.url)
            except requests.ConnectionError:
                self.refused += 1
                continue
            assert answer.status_code in {201, 503}, answer.text
            if answer.status_code == 201:
                self.taken.append(answer.json()["id"])

    def go_on(self) -> None:
        """Return when some more orders were taken."""
        goal = len(self.taken) + WARM_UP
        wait_until(lambda: len(self.taken) >= goal, 30, "more orders")


@contextmanager
def under_load(world: World) -> Iterator[Load]:
    """Let a client order while the block runs; afterwards all that it was promised has been kept."""
    load = Load(world)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        load.go_on()
        yield load
        load.go_on()
    finally:
        load.over.set()
        thread.join()
    world.wait_settled(load.taken)
    world.check()
    assert world.statuses(load.taken) == {"confirmed"}
    assert world.attempts(load.taken) == {1}


def _stop(process: Process, seconds: float) -> None:
    began = time.monotonic()
    code = process.stop()
    took = time.monotonic() - began
    log.info("the %s ended with %s after %.1f s", process.name, code, took)
    assert code == 0, process.text[-2000:]
    assert took <= seconds


@pytest.fixture(scope="module")
def shop(world: World) -> World:
    """Give a shop whose processes are replaced one by one."""
    started = world.processes
    return world.start(web=started.web(), relay=started.relay(), worker=started.worker(), beat=started.beat())


def test_the_relay_ends_within_5_seconds_and_the_next_goes_on(shop: World) -> None:
    """It finishes its window; what it had not claimed is the next one's."""
    with under_load(shop):
        _stop(shop.relay, RELAY)
        shop.start(relay=shop.processes.relay())


@pytest.mark.proof
def test_a_worker_ends_in_time_and_another_goes_on(shop: World) -> None:
    """It finishes its tasks and gives its other messages back; no attempt is counted twice."""
    with under_load(shop):
        _stop(shop.worker, WORKER)
        shop.start(worker=shop.processes.worker())


@pytest.mark.proof
def test_beat_ends_in_time(shop: World) -> None:
    """It holds nothing: orders do not notice."""
    with under_load(shop):
        _stop(shop.beat, BEAT)
        shop.start(beat=shop.processes.beat())


def test_the_web_server_ends_in_time_and_every_201_is_kept(shop: World) -> None:
    """Requests it has accepted are answered; the client goes on at the next server."""
    with under_load(shop) as load:
        leaving = shop.web
        shop.start(web=shop.processes.web())
        _stop(leaving, WEB)
        load.url = shop.web.url
    placed = shop.rows("SELECT count(*) FROM orders WHERE id > %s", min(load.taken) - 1)[0][0]
    log.info("%s orders taken, %s stored, %s connections refused", len(load.taken), placed, load.refused)
    assert placed == len(load.taken), "an order was stored whose client was not told"
