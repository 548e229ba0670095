"""A Celery task that does nothing: the most that a worker can take from RabbitMQ. As a program: publishes that many."""

import os
import sys

from celery import Celery

app = Celery("noop", broker=os.environ["CELERY_BROKER_URL"])
app.conf.task_ignore_result = True


@app.task
def nothing(number: int) -> None:
    """Do nothing."""
    del number


if __name__ == "__main__":
    from bench.peers.noop_celery import nothing as task  # not __main__'s: the worker knows it by this module's name

    with app.pool.acquire(block=True) as broker, app.amqp.Producer(broker) as producer:
        for n in range(int(sys.argv[1])):
            task.apply_async((n,), producer=producer)
