"""The Celery application: its settings, each with its reason, and the rules that hold for every task."""

import inspect
import socket
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from amqp.exceptions import ConsumerCancelled, NotFound, PreconditionFailed
from celery import Celery, Task
from celery.exceptions import Reject
from celery.signals import setup_logging, worker_init, worker_process_init, worker_process_shutdown
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from heartbeat import PERIOD, Heart
from orderapp import exposition, failpoints, filebroker, incoming, logs, queues, schedule, telemetry, traces
from orderapp.database import forget_connections, is_outage, outlast
from orderapp.errors import BadMessageError

log = structlog.get_logger(__name__)

# Seconds that a task waits for a database that is away before its message goes back; a restart takes one or two. Settling
# may wait 3 of its own and the last connection attempt takes 3: in all that stays below the 10 s of an order task's limit.
OUTAGE_PATIENCE = 4

# Seconds between two looks for a consumer that the broker has forgotten, and the longest that it may take to answer; no
# message is lost meanwhile, it only waits.
CONSUMER_CHECK = 5

# Seconds. A connection whose broker is gone without a farewell is noticed after this time.
HEARTBEAT = 15

# Seconds that a worker asked to stop waits for its running tasks; above every order task's limit.
SOFT_SHUTDOWN = 12

# Seconds that a child waits at its end until the first process has heard of its last task.
FAREWELL = 2


# What Python raises when a value is not what it was taken for; a lost connection is none of these.
MESSAGE_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class OrderTask(Task):  # type: ignore[type-arg]
    """Decides, for every task alike, what becomes of the message when something goes wrong.

    An outage of the database counts against nobody: the message is kept, the task waits and runs again, and after
    a few seconds the message goes back to the queue. A bad message is dead-lettered with one log line. So is one that hits
    a bug: its subject stays in PostgreSQL, where the rescuer finds it.
    """

    Request = "orderapp.worker:OrderRequest"

    # The slash: a message may bring an argument named "self", and that is a wrong argument like any other.
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the door inside an application context."""
        with (
            _flask_app(self.app).app_context(),
            structlog.contextvars.bound_contextvars(task=self.name, task_id=self.request.id, **self._about_request()),
            telemetry.timing_task(self.name),
            traces.span(self.name, "consumer", [self.request.get(traces.HEADER)], task_id=self.request.id),
        ):
            try:
                return self._run_checked(*args, **kwargs)
            except BadMessageError as error:
                log.error("message refused", reason=str(error))  # noqa: TRY400 - the message is at fault, no stack needed
                raise Reject(error, requeue=False) from error
            except Reject:
                raise
            except MemoryError as error:
                # Let through, it would end the whole worker and with it the messages of its neighbours.
                log.exception("out of memory")
                raise Reject(error, requeue=True) from error
            except Exception as error:
                # Whoever reads the log sees it; the dead letter keeps the message for `orderapp.dead`.
                log.exception("task failed")
                raise Reject(error, requeue=False) from error

    def _about_request(self) -> dict[str, str]:
        return logs.request_id_from(self.request.get("request_id"))

    def _run_checked(self, /, *args: Any, **kwargs: Any) -> Any:
        self.bound(args, kwargs)
        result = self._through_outages(*args, **kwargs)
        failpoints.passing(self.name, "returned")
        return result

    def bound(self, args: Sequence[Any], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """Return the arguments as the task's function would get them. Raises BadMessageError when it would not take them."""
        try:
            return inspect.signature(self.run).bind(*args, **kwargs)
        except TypeError as error:
            raise BadMessageError(f"wrong arguments: {error}") from error

    def _through_outages(self, /, *args: Any, **kwargs: Any) -> Any:
        try:
            return outlast(lambda: self.run(*args, **kwargs), OUTAGE_PATIENCE)
        except SQLAlchemyError as error:
            if not is_outage(error):
                raise
            log.warning("database unreachable, the message goes back", fault=type(error).__name__)
            raise Reject(error, requeue=True) from error


class OrderRequest(Request):
    """A task in the worker's first process, which acknowledges its message when the pool has done it."""

    def acknowledge(self) -> None:
        """Tell the broker that the message is done with."""
        failpoints.passing(self.name, "before_ack", self._cut)
        super().acknowledge()

    def _cut(self) -> None:
        self.message.channel.connection.transport.sock.shutdown(socket.SHUT_RDWR)


class Consumer(CeleryConsumer):
    """Celery's consumer, except that a message it cannot take is dead-lettered; some would end it, others be lost."""

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc, valid-type] # the stubs make it a variable
        """Celery's steps without native delayed delivery: 28 queues for a feature that this service never uses."""

        default_steps = [  # noqa: RUF012 - as Celery declares it
            step for step in CeleryConsumer.Blueprint.default_steps if not str(step).endswith(":DelayedDelivery")
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heart = Heart("worker", self.hostname)
        exposition.listen(_flask_app(self.app).extensions["settings"])

    def ensure_connected(self, conn: Any) -> Any:
        """Connect; a worker that waits for its broker is alive."""
        return super().ensure_connected(schedule.beating(conn, self._heart))

    def perform_pending_operations(self) -> None:
        """Say that the loop goes round: with the file broker, which has no event loop, it comes by here."""
        self._heart.beat()
        super().perform_pending_operations()

    def register_with_event_loop(self, hub: Any) -> None:
        """Say now and then that the loop goes round, and look whether the broker still delivers."""
        super().register_with_event_loop(hub)
        hub.timer.call_repeatedly(PERIOD, self._heart.beat)
        connection: Any = self.connection
        if connection.transport.driver_type == "amqp":  # files forget nobody, and keep no dead letters
            _declare_dead_queue(connection)
            hub.timer.call_repeatedly(CONSUMER_CHECK, self.notice_lost_consumers)

    def notice_lost_consumers(self) -> None:
        """Begin anew when a queue of ours has no consumer although we are one. Raises ConsumerCancelled.

        When a queue is deleted the broker tells its consumers, but Celery drops the news in the first 0.1 s after a connect,
        and RabbitMQ does not always tell when a quorum queue is declared anew at once. Such a worker would wait for ever.
        """
        if worker_state.should_stop is not None or worker_state.should_terminate is not None:
            return  # it has cancelled them itself and finishes its tasks
        connection: Any = self.connection
        with connection.connection.transport.having_timeout(CONSUMER_CHECK):  # one that does not answer is one to leave, too
            for queue in self.task_consumer.queues:  # type: ignore[attr-defined] # the stubs lack it
                if _consumers_of(queue.name, connection) == 0:
                    log.warning("the broker has forgotten this consumer", queue=queue.name)
                    raise ConsumerCancelled(f"{queue.name} has no consumer")
            _consumers_of(queues.DEAD_QUEUE, connection)  # none: its length is what is noted

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Return what takes each message from the broker."""
        take = super().create_task_handler(*args, **kwargs)

        def take_or_refuse(message: Any) -> Any:
            fault = incoming.fault_of(message)
            if fault is not None:
                return self._refuse(message, fault)
            try:
                return take(message)
            except MESSAGE_FAULTS as error:
                # Something in its headers that nobody thought of; let through, it would end this worker and the next.
                return self._refuse(message, repr(error), exc_info=error)

        return take_or_refuse

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep the message where an operator can look at it."""
        self._refuse(message, f"cannot decode: {exc}")

    def _refuse(self, message: Any, fault: str, **more: Any) -> None:
        log.error("message refused", reason=fault, content_type=str(message.content_type), **more)
        message.reject_log_error(log, self.connection_errors)  # type: ignore[attr-defined] # the stubs lack it


def _declare_dead_queue(connection: Any) -> None:
    """Have a place for dead letters before the first message comes: the relay declares it only when it has one to send."""
    channel = connection.channel()  # of its own: a refused declaration closes it
    try:
        queues.dead_queue().bind(channel).declare()
    except PreconditionFailed:
        return  # it is there with other arguments; the relay's log names them
    channel.close()


def _consumers_of(queue: str, connection: Any) -> int:
    probe = connection.channel()  # of its own: a missing queue closes it
    try:
        found = probe.queue_declare(queue, passive=True)
        telemetry.note_queue(queue, found.message_count)
        return int(found.consumer_count)
    except NotFound:
        return 0
    finally:
        if probe.is_open:
            probe.close()


def make_celery(app: Flask, broker_url: str) -> Celery:
    """Return the Celery application for this Flask application. Opens no connection."""
    celery: Celery = Celery("orderapp", task_cls=OrderTask, strict_typing=False)
    celery.conf.flask_app = app
    celery.conf.update(_settings(broker_url))
    celery.set_default()
    app.extensions["celery"] = celery
    worker_init.connect(_leave_in_time, weak=False)
    worker_process_init.connect(_forget_parents_connections, weak=False)
    # After webhooks/couriers.py, which is imported before: what its threads still send has spans, too.
    worker_process_shutdown.connect(_send_last_spans, weak=False)
    setup_logging.connect(_keep_our_logging, weak=False)
    return celery


def _leave_in_time(**_signal: Any) -> None:
    """Let children end although the first process no longer listens to them, as happens at a stop under load.

    billiard has them wait for 30 s, and Docker and systemd kill after 20. A task that was not heard of comes again.
    """
    from billiard import pool  # noqa: PLC0415 - for workers only

    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = int(FAREWELL / pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL)


def _forget_parents_connections(**_signal: Any) -> None:
    from celery import current_app as celery  # noqa: PLC0415 - the worker's own application, known only after the fork

    with _flask_app(celery).app_context():
        forget_connections()


def _send_last_spans(**_signal: Any) -> None:
    traces.finish()


def _flask_app(celery: Celery) -> Flask:
    flask_app: Flask = celery.conf.flask_app
    return flask_app


def _keep_our_logging(**_signal: Any) -> None:
    """Take Celery's place as the one who configures logging: logs.py has done it."""


def _settings(broker_url: str) -> dict[str, Any]:
    is_file = broker_url.startswith("filesystem://")
    return {
        "broker_url": "filesystem://" if is_file else broker_url,
        "broker_transport_options": filebroker.transport_options(broker_url) if is_file else {},
        "broker_heartbeat": HEARTBEAT,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a broker that is away for an hour is still an outage, not an end
        "task_queues": queues.work_queues(),
        "task_default_queue": "maintenance",
        "task_default_exchange": "",
        "task_default_routing_key": "maintenance",
        "task_create_missing_queues": False,
        "task_routes": {name: {"queue": task.queue} for name, task in queues.TASKS.items()},
        "task_annotations": {name: {"time_limit": task.time_limit} for name, task in queues.TASKS.items()},
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": False,  # Celery's default acknowledges a task that raised
        "task_acks_on_timeout": False,  # and one that was killed by its time limit
        "task_ignore_result": True,
        "result_backend": None,
        "accept_content": ["json"],
        "task_serializer": "json",
        "worker_prefetch_multiplier": 1,  # a message is a batch already; more would only wait behind a slow one
        "worker_consumer": "orderapp.worker:Consumer",
        "worker_send_task_events": True,  # the bare command feeds Flower
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN,
        "worker_hijack_root_logger": False,  # logs.py has configured it
        "worker_redirect_stdouts": False,
        "beat_scheduler": "orderapp.schedule:Scheduler",
        "beat_schedule": schedule.beat_schedule(),
        "enable_utc": True,
        "timezone": "UTC",
    }
