"""Events to other services, by EVENTS_EXCHANGE: in a webhook's words, of every order and of every type."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection

from orderapp.orders.events import OrderEvent
from orderapp.orders.queries import event_snapshots
from orderapp.outbox.messages import enqueue_events

from .payload import body_of


def announce(_session: Connection, events: Sequence[OrderEvent]) -> None:
    """Write an outbox row per event, in the transaction that makes them true."""
    enqueue_events([(event.order_id, event.id) for event in events])


def bodies(session: Connection, event_ids: Sequence[UUID]) -> Mapping[UUID, tuple[str, bytes]]:
    """Return type and body of each event that there is."""
    return {event_id: (one.type, body_of(one)) for event_id, one in event_snapshots(session, event_ids).items()}
