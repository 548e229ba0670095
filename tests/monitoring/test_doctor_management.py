"""``flask doctor`` and a RabbitMQ with its management API: alarms, policies, a user who may not ask."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from orderapp.outbox.broker import AmqpPublisher
from tests.monitoring.patients import Found, change, examine
from tests.servers.rabbitmq import RabbitNode
from tests.servers.waiting import free_port, wait_until

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# Seconds. RabbitMQ measures its nodes every five.
MEASURED = 30


@pytest.fixture(scope="module")
def port() -> int:
    """Return where the API of this module's node listens."""
    return free_port()


@pytest.fixture(scope="module")
def managed(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """Give a node with the management API, on which a relay has been."""
    node = RabbitNode(tmp_path_factory.mktemp("rabbitmq") / "node", management_port=port)
    node.start()
    try:
        publisher = AmqpPublisher(node.url())
        publisher.open()
        publisher.close()
        yield node
    finally:
        node.destroy()


@pytest.fixture
def doctor(app: Flask, runner: FlaskCliRunner, managed: RabbitNode, port: int) -> "Doctor":
    """Return who examines this node."""
    change(app, celery_broker_url=managed.url())
    return Doctor(runner, port)


class Doctor:
    """Examines with the node's API at hand."""

    def __init__(self, runner: FlaskCliRunner, port: int) -> None:
        """Remember both."""
        self._runner, self._url = runner, f"http://127.0.0.1:{port}"

    def __call__(self, code: int) -> Found:
        """Return what is found."""
        return examine(self._runner, "--management", self._url, code=code)

    def sees(self, check: str, state: str, word: str) -> bool:
        """Tell whether this is found, whatever else is."""
        result = self._runner.invoke(args=["doctor", "--json", "--management", self._url])
        return any(check in row and f'"{state}"' in row and word in row for row in result.stdout.split("},{"))


def test_a_well_node_is_told_with_its_free_disk(doctor: Doctor, managed: RabbitNode) -> None:
    """What AMQP cannot tell; the rest is told as without the API."""
    wait_until(lambda: doctor.sees(f"node {managed.name}", "ok", "of disk free"), MEASURED, "the node's first measure")
    found = doctor(code=0)
    assert found["management"][0] == found["policies"][0] == found["confirms"][0] == "ok"


def test_a_broker_without_memory_is_told_by_its_alarm_and_by_its_silence(doctor: Doctor, managed: RabbitNode) -> None:
    """Without the API it is the missing confirm that shows it."""
    managed.ctl("set_vm_memory_high_watermark", "absolute", "1")
    try:
        wait_until(lambda: doctor.sees(f"node {managed.name}", "fault", "memory alarm"), MEASURED, "the alarm")
        found = doctor(code=1)
    finally:
        managed.ctl("set_vm_memory_high_watermark", "0.4")
    state, words, remedy = found["confirms"]
    assert (state, words) == ("fault", "it blocks publishers: low on memory or disk")
    assert "outbox" in remedy
    wait_until(lambda: doctor.sees("confirms", "ok", "returned and confirmed"), MEASURED, "the end of the alarm")


def test_a_policy_that_ends_messages_is_named(doctor: Doctor, managed: RabbitNode) -> None:
    """Somebody's default for all queues: no argument of ours is changed by it, and messages vanish."""
    managed.ctl("set_policy", "tidy", ".*", '{"max-length": 10, "delivery-limit": 2}', "--apply-to", "queues")
    try:
        wait_until(lambda: doctor.sees("policy on orders", "fault", "delivery-limit = 2"), MEASURED, "the policy")
        assert doctor.sees("policy on orders", "warning", "max-length = 10")
        assert "policies" not in doctor(code=1)
    finally:
        managed.ctl("clear_policy", "tidy")


def test_a_user_who_may_not_ask_is_told_what_to_get(doctor: Doctor, managed: RabbitNode) -> None:
    """The API is there, and says no: RabbitMQ's tag opens it."""
    managed.ctl("set_user_tags", "guest")
    try:
        found = doctor(code=0)
    finally:
        managed.ctl("set_user_tags", "guest", "administrator")
    state, words, remedy = found["management"]
    assert state == "warning"
    assert "does not let this user ask" in words
    assert "set_user_tags" in remedy
    assert found["confirms"][0] == "ok"
