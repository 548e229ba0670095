"""A worker that the broker has forgotten begins anew, also when nobody has told it."""

from types import SimpleNamespace

import pytest
from amqp.exceptions import ConsumerCancelled
from kombu import Connection, Queue

from orderapp.worker import Consumer


@pytest.mark.rabbitmq
def test_a_forgotten_consumer_is_noticed_although_its_notice_was_dropped(broker: str) -> None:
    """The notice is read and dropped here, as Celery drops it within 0.1 s of a connect; the next look finds out."""
    queue = Queue("orders", queue_arguments={"x-queue-type": "quorum"})
    with Connection(broker) as connection, Connection(broker) as other:
        consumer = connection.Consumer([queue], callbacks=[print])
        consumer.consume()
        worker = SimpleNamespace(task_consumer=consumer, connection=connection)
        Consumer.notice_lost_consumers(worker)

        other.channel().queue_delete("orders")
        with pytest.raises(ConsumerCancelled):
            connection.drain_events(timeout=30)

        with pytest.raises(ConsumerCancelled):
            Consumer.notice_lost_consumers(worker)
        queue.bind(other.channel()).declare()
        with pytest.raises(ConsumerCancelled):
            Consumer.notice_lost_consumers(worker)
