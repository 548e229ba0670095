"""What webhooks may cost the database."""

import pytest

from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.sending import deliver
from tests.wire import listening

from .conftest import Factory

# The claim locks endpoints, finds out whom to send to, and takes the deliveries; what is sent is read in three statements;
# answers that came in are recorded together.
CLAIM, READ, RECORD = 5, 3, 9


@pytest.mark.parametrize("size", [1, 20])
def test_a_run_is_claimed_and_read_in_eight_statements(a_delivery: Factory, receivers: Receivers, size: int) -> None:
    """For one delivery and for twenty; how many records there are depends on when the answers come."""
    ids = [a_delivery() for _ in range(size)]
    with listening() as wire:
        assert deliver(ids, receivers) == size
    assert wire.ends[:2] == ["COMMIT", "ROLLBACK"]
    records = len(wire.ends) - 2
    assert 1 <= records <= size
    assert len(wire.said) <= CLAIM + READ + RECORD * records
