"""An operator sends a delivery again that was given up."""

import pytest

from orderapp.errors import ConflictError, NotFoundError
from orderapp.webhooks.endpoint import Receivers
from orderapp.webhooks.replaying import resend
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


@pytest.mark.parametrize("state", ["pending", "succeeded"])
def test_a_delivery_on_its_way_or_received_is_refused(a_delivery: Factory, sql: Sql, state: str) -> None:
    """Nothing changes, and the message names the state."""
    delivery_id = a_delivery()
    sql("DELETE FROM outbox")
    sql("UPDATE webhook_deliveries SET state = :state", state=state)
    with pytest.raises(ConflictError, match=f"is {state}; only an exhausted or disabled one"):
        resend(delivery_id)
    assert sql("SELECT 1 FROM outbox") == []


@pytest.mark.usefixtures("app")
def test_an_unknown_delivery_is_refused() -> None:
    """The message names the number."""
    with pytest.raises(NotFoundError, match="no delivery 4711"):
        resend(4711)
