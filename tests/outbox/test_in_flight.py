"""Matching confirms to messages: what may be deleted depends on it."""

import pytest

from orderapp.outbox.receipts import InFlight, Message, UnknownConfirmError


def a_window(count: int = 5, first_tag: int = 1) -> tuple[InFlight, list[Message]]:
    """Return a window in flight, and its messages."""
    in_flight = InFlight(first_tag)
    messages = [Message(f"id-{number}", "orders", b"", {}, {}, (number,)) for number in range(count)]
    for message in messages:
        in_flight.add(message)
    return in_flight, messages


def test_an_ack_takes_the_message_of_its_tag_and_no_other() -> None:
    """Confirms come in any order."""
    in_flight, messages = a_window()
    in_flight.ack(4, multiple=False)
    in_flight.ack(2, multiple=False)
    assert in_flight.receipt.acked == [messages[3], messages[1]]
    assert len(in_flight) == 3


def test_multiple_means_up_to_and_including_the_tag() -> None:
    """Also when some of them were confirmed one by one before."""
    in_flight, messages = a_window()
    in_flight.ack(2, multiple=False)
    in_flight.ack(4, multiple=True)
    assert sorted(message.id for message in in_flight.receipt.acked) == ["id-0", "id-1", "id-2", "id-3"]
    in_flight.ack(5, multiple=True)
    assert len(in_flight) == 0
    assert len(in_flight.receipt.acked) == len(messages)


def test_a_nack_may_be_multiple_too() -> None:
    """Acks before it stand."""
    in_flight, messages = a_window()
    in_flight.ack(1, multiple=False)
    in_flight.nack(3, multiple=True)
    in_flight.ack(5, multiple=True)
    assert in_flight.receipt.acked == [messages[0], messages[3], messages[4]]
    assert in_flight.receipt.nacked == messages[1:3]


def test_a_returned_message_is_not_acknowledged_although_the_broker_says_so() -> None:
    """RabbitMQ sends basic.return, then basic.ack for the same message."""
    in_flight, messages = a_window()
    in_flight.come_back("id-1", "NO_ROUTE")
    in_flight.ack(5, multiple=True)
    assert in_flight.receipt.returned == [(messages[1], "NO_ROUTE")]
    assert messages[1] not in in_flight.receipt.acked


def test_a_return_without_its_ack_says_nothing_yet() -> None:
    """The connection broke between the two: the row stays, neither parked nor deleted."""
    in_flight, _ = a_window()
    in_flight.come_back("id-1", "NO_ROUTE")
    assert in_flight.receipt.returned == []
    assert len(in_flight) == 5


def test_tags_go_on_where_the_last_window_ended() -> None:
    """They count the messages of the channel, not of the window; a confirm that comes twice is taken once."""
    in_flight, messages = a_window(first_tag=1001)
    in_flight.ack(1000, multiple=True)
    in_flight.ack(7, multiple=False)
    assert len(in_flight) == 5
    in_flight.ack(1001, multiple=False)
    in_flight.ack(1001, multiple=False)
    assert in_flight.receipt.acked == [messages[0]]
    assert in_flight.next_tag == 1006


@pytest.mark.parametrize("multiple", [False, True])
def test_a_confirm_of_what_was_never_sent_is_not_believed(multiple: bool) -> None:
    """Whoever says that may be wrong about the rest, too: nothing is taken from it, the connection goes."""
    in_flight, _ = a_window()
    with pytest.raises(UnknownConfirmError, match="6 confirmed, 5 was the last"):
        in_flight.ack(6, multiple)
    assert in_flight.receipt.acked == []
    assert len(in_flight) == 5


def test_tag_zero_confirms_nothing() -> None:
    """In the specification it means "all so far" from a client; from a broker it would be a guess."""
    in_flight, _ = a_window()
    in_flight.ack(0, multiple=True)
    assert len(in_flight) == 5
