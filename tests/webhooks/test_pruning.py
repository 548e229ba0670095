"""The log of attempts is kept as long as the setting says; what was received is known for ever."""

from datetime import timedelta

import pytest

from orderapp.monitoring.auditing import Scope, audit
from orderapp.webhooks import pruning
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.pruning import prune_attempts
from orderapp.webhooks.sending import deliver

from .conftest import Factory, Sql


def test_old_attempts_go_and_their_deliveries_stay(
    a_delivery: Factory, receivers: Receivers, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In small batches, the oldest first; an audit still finds every delivery proven."""
    ids = [a_delivery() for _ in range(5)]
    deliver(ids, receivers)
    sql("UPDATE webhook_attempts SET started_at = started_at - interval '91 days' WHERE id <= 3")
    monkeypatch.setattr(pruning, "BATCH", 2)
    assert prune_attempts(timedelta(days=90)) == 3
    assert [row.id for row in sql("SELECT id FROM webhook_attempts ORDER BY id")] == [4, 5]
    assert sql("SELECT count(*) AS n FROM webhook_deliveries WHERE state = 'succeeded'")[0].n == 5
    assert prune_attempts(timedelta(days=90)) == 0
    assert audit(Scope(everything=True)).violations == ()
