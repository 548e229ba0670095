"""The short form of ``python -m tests.hostile``."""

import logging

import pytest

from tests.hostile.__main__ import subjects_of
from tests.hostile.changing import messages
from tests.hostile.judging import judge
from tests.journeys.world import World

log = logging.getLogger(__name__)

# 20,000 by hand take minutes; so many show that it still works.
SOME = 500


def test_a_seed_decides_every_message() -> None:
    """What did harm once can be sent again."""
    first, again, other = (messages(seed, 50, [1, 2]) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.rabbitmq
@pytest.mark.proof
def test_hundreds_of_changed_messages_end_no_process_and_change_nothing(shop: World) -> None:
    """Each is a dead letter with its line, or handled."""
    total = judge(shop, (shop.worker, shop.worker2), messages(1, SOME, subjects_of(shop)))
    log.info("%s messages: %s", SOME, total)
    assert total.refused
    assert total.handled
