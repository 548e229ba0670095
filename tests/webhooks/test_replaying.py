"""An operator sends a delivery again that was given up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from orderapp.database import reading
from orderapp.errors import ConflictError, NotFoundError
from orderapp.webhooks import replaying
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.queries import Wanted, count_again
from orderapp.webhooks.replaying import resend, resend_fitting
from orderapp.webhooks.sending import deliver

from .conftest import Factory, Sql
from .receivers import RecordingReceiver, answering


@pytest.mark.parametrize("state", ["exhausted", "disabled"])
def test_a_given_up_delivery_is_due_again_with_a_message(
    a_delivery: Factory, receivers: Receivers, sql: Sql, state: str
) -> None:
    """It goes out at once, and the attempts are counted on."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = :state, attempt = 10, finished_at = clock_timestamp()", state=state)
    resend(delivery_id)
    assert [row.subject_id for row in sql("SELECT subject_id FROM outbox")] == [delivery_id]
    assert deliver([delivery_id], receivers) == 1
    (delivery,) = sql("SELECT state, attempt FROM webhook_deliveries")
    assert tuple(delivery) == ("succeeded", 11)


def test_a_resend_that_fails_is_given_up_again(
    a_delivery: Factory, receiver: RecordingReceiver, receivers: Receivers, sql: Sql
) -> None:
    """One more attempt for one more word of the operator."""
    delivery_id = a_delivery()
    sql("UPDATE webhook_deliveries SET state = 'exhausted', attempt = 10")
    resend(delivery_id)
    receiver.behave = answering(500)
    deliver([delivery_id], receivers)
    (delivery,) = sql("SELECT state, attempt FROM webhook_deliveries")
    assert tuple(delivery) == ("exhausted", 11)


def test_a_delivery_on_its_way_is_refused(a_delivery: Factory, sql: Sql) -> None:
    """Nothing changes, and the message names the state."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    with pytest.raises(ConflictError, match="is pending; it is sent anyway"):
        resend(delivery_id)
    assert sql("SELECT 1 FROM outbox") == []


def test_what_was_received_can_be_sent_once_more_beside_it(
    a_delivery: Factory, receivers: Receivers, receiver: RecordingReceiver, sql: Sql
) -> None:
    """Under the same webhook-id; the order stays told, whatever becomes of the repetition."""
    delivery_id = a_delivery()
    deliver([delivery_id], receivers)
    receiver.behave = answering(500)
    again = resend(delivery_id, "Alice")
    assert again != delivery_id
    deliver([again], receivers)
    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert [tuple(row) for row in sql("SELECT state, attempt, resend_of FROM webhook_deliveries ORDER BY id")] == [
        ("succeeded", 1, None),
        ("pending", 1, delivery_id),
    ]
    assert sql("SELECT webhook_sent FROM orders")[0].webhook_sent is True
    (entry,) = sql("SELECT actor, subject_id FROM audit_log WHERE action = 'resend'")
    assert tuple(entry) == ("Alice", delivery_id)


def test_a_resend_by_filter_counts_first_and_then_sends_at_its_rate(a_delivery: Factory, sql: Sql) -> None:
    """Finished ones that fit, spread over time; the filter and the number are in the audit log."""
    ids = [a_delivery() for _ in range(5)]
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = 'exhausted' WHERE id <> :id", id=ids[0])
    wanted = Wanted(state="exhausted")
    with reading() as session:
        assert count_again(session, wanted, enabled=True) == 4
        assert count_again(session, wanted, enabled=False) == 0
        assert count_again(session, Wanted(order_id=4711), enabled=True) == 0
        assert count_again(session, Wanted(type="order.failed"), enabled=True) == 0
        assert count_again(session, Wanted(endpoint_id=1, until=datetime.now(UTC)), enabled=True) == 4
        assert count_again(session, Wanted(since=datetime.now(UTC)), enabled=True) == 0
    assert sql("SELECT 1 FROM outbox") == []
    assert resend_fitting(wanted, "Alice", enabled=True, per_second=2) == 4
    rows = sql("SELECT extract(epoch FROM available_at - clock_timestamp()) AS wait, subject_id FROM outbox ORDER BY id")
    assert [row.subject_id for row in rows] == ids[1:]
    assert [round(row.wait) for row in rows] == [0, 0, 1, 1]
    assert all(row.is_due for row in sql("SELECT o.available_at >= d.due_at AS is_due FROM outbox o JOIN webhook_deliveries d"
        " ON d.id = o.subject_id"))  # fmt: skip
    (entry,) = sql("SELECT actor, subject, before, after FROM audit_log WHERE action = 'resend'")
    assert tuple(entry) == ("Alice", "deliveries", {"state": "exhausted"}, {"sent": 4})


def test_a_resend_that_is_cut_leaves_word_of_what_it_sent(
    a_delivery: Factory, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch commits with its own line in the audit log: whoever looks after a crash sees who sent how many."""
    ids = [a_delivery() for _ in range(5)]
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = 'exhausted'")
    enqueue = replaying.enqueue_many

    def crash(task: str, subject_ids: Sequence[int], **more: Any) -> None:
        if ids[3] in subject_ids:
            raise RuntimeError("killed")
        enqueue(task, subject_ids, **more)

    monkeypatch.setattr(replaying, "BATCH", 2)
    with monkeypatch.context() as crashing:
        crashing.setattr(replaying, "enqueue_many", crash)
        with pytest.raises(RuntimeError):
            resend_fitting(Wanted("exhausted"), "Alice", enabled=True)
    entries = "SELECT actor, before, after FROM audit_log WHERE action = 'resend' ORDER BY id"
    assert [tuple(entry) for entry in sql(entries)] == [("Alice", {"state": "exhausted"}, {"sent": 2})]
    assert [row.subject_id for row in sql("SELECT subject_id FROM outbox ORDER BY id")] == ids[:2]
    assert resend_fitting(Wanted("exhausted"), "Alice", enabled=True) == 3
    assert [entry.after["sent"] for entry in sql(entries)] == [2, 2, 1]


def test_more_than_the_caller_allows_are_not_begun(a_delivery: Factory, sql: Sql) -> None:
    """Not one is sent of one too many; exactly so many are."""
    for _ in range(3):
        a_delivery()
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = 'exhausted'")
    with pytest.raises(ConflictError, match="more than 2 deliveries fit; narrow since and until"):
        resend_fitting(Wanted("exhausted"), "Alice", enabled=True, at_most=2)
    assert sql("SELECT 1 FROM outbox") == []
    assert resend_fitting(Wanted("exhausted"), "Alice", enabled=True, at_most=3) == 3


def test_nothing_is_sent_again_to_a_disabled_endpoint(a_delivery: Factory, sql: Sql) -> None:
    """It would only end as disabled once more."""
    delivery_id = a_delivery()
    sql("UPDATE webhook_deliveries SET state = 'exhausted'")
    sql("UPDATE webhook_endpoints SET active = false, disabled_reason = 'gone'")
    with pytest.raises(ConflictError, match="enable it first"):
        resend(delivery_id)
    with reading() as session:
        assert count_again(session, Wanted("exhausted"), enabled=True) == 0


@pytest.mark.usefixtures("app")
def test_an_unknown_delivery_is_refused() -> None:
    """The message names the number."""
    with pytest.raises(NotFoundError, match="no delivery 4711"):
        resend(4711)
