"""RabbitMQ's users by role: each process does all of its work as its own user, and that user may do nothing else."""

from collections.abc import Callable

import amqp
import pytest
from amqp.exceptions import AccessRefused
from celery import Celery

import config
from orderapp.outbox.broker import AmqpPublisher
from orderapp.queues import QUEUE_NAMES
from tests.journeys.messages import Messages
from tests.journeys.world import World
from tests.servers.rabbitmq import RabbitNode

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

DEFINITIONS = config.ROOT / "deploy/rabbitmq/definitions.json"

ROLES = ("relay", "worker", "beat", "flower")

PASSWORD = "a-password-of-this-test"

# Seconds for an answer of a worker or an event from one, on a busy machine.
ANSWER = 30


@pytest.fixture(scope="module")
def node(node: RabbitNode) -> RabbitNode:
    """Return a node with the users of the file, who then get passwords, as docs/install.md says."""
    node.ctl("import_definitions", str(DEFINITIONS))
    assert not any(_may_log_in(node, role, password) for role in ROLES for password in ("", PASSWORD))
    for role in ROLES:
        node.ctl("change_password", f"orderapp-{role}", PASSWORD)
    return node


@pytest.fixture(scope="module")
def broker(node: RabbitNode) -> str:
    """Return the URL of that node, for the test itself."""
    return node.url("/")


def _url(node: RabbitNode, role: str) -> str:
    return node.url("/").replace("guest:guest", f"orderapp-{role}:{PASSWORD}")


def _connection(node: RabbitNode, role: str, password: str = PASSWORD) -> amqp.Connection:
    place = node.url().partition("@")[2].partition("/")[0]
    return amqp.Connection(place, userid=f"orderapp-{role}", password=password, connect_timeout=ANSWER, read_timeout=ANSWER)


def _may_log_in(node: RabbitNode, role: str, password: str) -> bool:
    try:
        with _connection(node, role, password) as connection:
            connection.connect()
    except (AccessRefused, OSError):
        return False
    return True


@pytest.fixture(scope="module")
def shop(world: World, node: RabbitNode) -> World:
    """Give a shop in which every process has its role's user; the web knows no broker at all."""
    started = world.processes
    return world.start(
        web=started.web(CELERY_BROKER_URL="amqp://127.0.0.1:1//"),
        relay=started.relay(CELERY_BROKER_URL=_url(node, "relay")),
        worker=started.worker(CELERY_BROKER_URL=_url(node, "worker")),
        beat=started.beat(CELERY_BROKER_URL=_url(node, "beat")),
    )


@pytest.mark.parametrize("role", ["relay", "worker"])
def test_whoever_comes_first_may_declare_the_queues(role: str, node: RabbitNode) -> None:
    """Only for a queue that is new the broker asks for rights to read it and to write dead letters."""
    messages, publisher = Messages(node.url("/")), AmqpPublisher(_url(node, role))
    messages.delete(*QUEUE_NAMES)
    try:
        publisher.open()
    finally:
        publisher.close()
    assert [messages.waiting(queue) for queue in QUEUE_NAMES] == [0, 0, 0]


def test_orders_settle_and_are_rescued_by_processes_with_users_of_their_own(shop: World) -> None:
    """Relay and worker bring one order and its webhook through; Beat has the second one rescued, whose message is gone."""
    lamp = shop.product()
    first = shop.place({lamp: 1})
    shop.wait_settled([first])
    with shop.held_up(shop.relay):
        second = shop.place({lamp: 1})
        shop.rows("DELETE FROM outbox WHERE subject_id = %s", second)
    shop.rows("UPDATE orders SET rescue_at = now() WHERE id = %s", second)
    shop.wait_settled([second])
    shop.check()

    assert shop.statuses([first, second]) == {"confirmed"}
    for process in (shop.relay, shop.worker, shop.beat):
        assert "ACCESS_REFUSED" not in process.text


def test_flower_sees_the_workers(shop: World, node: RabbitNode) -> None:
    """It hears their events and gets their answers."""
    celery = Celery(broker=_url(node, "flower"), set_as_current=False)
    heard: list[str] = []

    def hear(event: dict[str, str]) -> None:
        heard.append(event["type"])
        receiver.should_stop = True

    with celery.connection() as connection:
        receiver = celery.events.Receiver(connection, handlers={"worker-heartbeat": hear})
        receiver.capture(limit=None, timeout=ANSWER, wakeup=True)
    assert heard
    assert celery.control.inspect(timeout=ANSWER, limit=1).ping()
    assert "ACCESS_REFUSED" not in shop.worker.text


FORBIDDEN: dict[str, tuple[str, Callable[[amqp.Channel], object]]] = {
    "the relay declares no other queue": ("relay", lambda channel: channel.queue_declare("others")),
    "the relay declares no exchange": ("relay", lambda channel: channel.exchange_declare("others", "topic")),
    "the worker declares no other queue": ("worker", lambda channel: channel.queue_declare("others")),
    "the worker hears no events": ("worker", lambda channel: channel.queue_bind("orders", "celeryev")),
    "beat takes no orders": ("beat", lambda channel: channel.basic_get("orders")),
    "beat deletes no queue of orders": ("beat", lambda channel: channel.queue_delete("orders")),
    "flower takes no orders": ("flower", lambda channel: channel.basic_get("orders")),
    "flower sends no task": ("flower", lambda channel: _publish(channel, "orders")),
    "nobody purges orders but relay and worker": ("flower", lambda channel: channel.queue_purge("orders")),
}


def _publish(channel: amqp.Channel, queue: str) -> None:
    channel.confirm_select()
    channel.basic_publish_confirm(amqp.Message("{}"), routing_key=queue)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_role_may_do_nothing_else(what: str, shop: World, node: RabbitNode) -> None:
    """A stolen password opens no more than its process needs."""
    assert shop.messages.waiting("orders") == 0
    role, attempt = FORBIDDEN[what]
    with _connection(node, role) as connection:
        connection.connect()
        channel = connection.channel()
        with pytest.raises(AccessRefused):
            attempt(channel)
