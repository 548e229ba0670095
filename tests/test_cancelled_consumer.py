"""A worker whose consumer the broker has cancelled begins anew, also when Celery has dropped the news."""

from types import SimpleNamespace

import pytest
from amqp.exceptions import ConsumerCancelled
from kombu import Connection, Queue

from orderapp.worker import Consumer


@pytest.mark.rabbitmq
def test_a_cancelled_consumer_is_noticed_although_its_notice_was_dropped(broker: str) -> None:
    """The notice is read and dropped here, as Celery drops it within 0.1 s of a connect; the next look finds out."""
    with Connection(broker) as connection, Connection(broker) as other:
        consumer = connection.Consumer([Queue("orders", queue_arguments={"x-queue-type": "quorum"})], callbacks=[print])
        consumer.consume()
        worker = SimpleNamespace(task_consumer=consumer)
        Consumer.notice_cancelled(worker)

        other.channel().queue_delete("orders")
        with pytest.raises(ConsumerCancelled):
            connection.drain_events(timeout=30)

        with pytest.raises(ConsumerCancelled):
            Consumer.notice_cancelled(worker)
