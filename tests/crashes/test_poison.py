"""An order that kills whoever confirms it, every time: the others do not pay for it, and it ends."""

import logging
import time

import pytest

from tests.crashes.doom import Doom
from tests.journeys.world import World

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]  # a minute of leases that must run out


def test_one_order_of_100_that_kills_its_worker_fails_and_99_are_confirmed(world: World, doom: Doom) -> None:
    """A real SIGKILL, real leases of 15 seconds, beat's real rescues: no step of it is shortened.

    The first run dies with all 100 in hand; from then on each is claimed alone, and the killer gives up at its third attempt.
    """
    started = world.processes
    world.start(web=started.web(), relay=started.relay(), beat=started.beat())
    lamp = world.product(stock=1_000)
    with world.held_up(world.relay):
        order_ids = world.place_many([{lamp: 1}] * 100)
    killer = order_ids[41]
    others = [order_id for order_id in order_ids if order_id != killer]
    worker = doom.worker(KILL_ORDER=str(killer))
    began = time.monotonic()
    world.wait_settled(others)
    log.info("99 settled after %.0f s, attempts %s", time.monotonic() - began, world.attempts(others))
    world.wait_settled([killer], seconds=90)
    log.info("the killer failed after %.0f s", time.monotonic() - began)
    world.check()

    assert world.statuses(others) == {"confirmed"}
    assert world.attempts(others) == {2}
    assert world.order(killer)["status"] == "failed"
    assert world.order(killer)["failure_reason"] == {"code": "processing_error"}
    assert world.value("SELECT stock FROM products WHERE id = %s", lamp) == 1_000 - 99
    assert len(world.receiver.requests) == 100
    assert worker.text.count("signal 9 (SIGKILL)") >= 3
