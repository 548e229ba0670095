"""RabbitMQ's definitions file: users by role, without passwords, who may touch all the queues that they work with."""

import json
import re
from typing import Any

import config
from orderapp.queues import DEAD_QUEUE, QUEUE_NAMES
from tests.deploy.manifests import CONTAINERS

DEFINITIONS: dict[str, list[dict[str, Any]]] = json.loads((config.ROOT / "deploy/rabbitmq/definitions.json").read_text())

RIGHTS = {one["user"]: one for one in DEFINITIONS["permissions"]}


def test_no_user_has_a_password_or_a_tag() -> None:
    """An empty hash lets nobody log in; a tag would open the management API."""
    assert {(user["password_hash"], user["tags"]) for user in DEFINITIONS["users"]} == {("", "")}
    assert {user["name"] for user in DEFINITIONS["users"]} == RIGHTS.keys()


def test_there_is_a_user_for_each_role_of_the_manifests() -> None:
    """And none for the web, which has no business there."""
    own = [container["env"][0] for container in CONTAINERS.values()]
    roles = {one["valueFrom"]["secretKeyRef"]["key"] for one in own if "valueFrom" in one}
    assert RIGHTS.keys() == {f"orderapp-{role}" for role in roles}


def test_relay_and_worker_may_declare_every_queue() -> None:
    """A new queue that is missing here would be refused in production only."""
    for name in (*QUEUE_NAMES, DEAD_QUEUE):
        for user in ("orderapp-relay", "orderapp-worker"):
            assert re.search(RIGHTS[user]["configure"], name)
            assert re.search(RIGHTS[user]["read"], name)


def test_nobody_may_touch_everything() -> None:
    """Each pattern is anchored at both ends: RabbitMQ searches, it does not match."""
    for rights in RIGHTS.values():
        for kind in ("configure", "write", "read"):
            assert re.fullmatch(r"\^.*\$", rights[kind])
            assert not re.search(rights[kind], "somebody.elses")
