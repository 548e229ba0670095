"""docker-compose.yml: no service may write to its image or do what root may, but for what is named here with its reason."""

from typing import Any

import pytest
import yaml

import config

COMPOSE: dict[str, Any] = yaml.safe_load((config.ROOT / "docker-compose.yml").read_text())

SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

# Its start writes its configuration into the folder where its image keeps one.
WRITES_TO_ITS_IMAGE = {"rabbitmq"}

# Their start, as root, makes a folder their own user's and becomes that user: no other right than these five.
BECOMES_ANOTHER_USER = {"db", "rabbitmq"}
ITS_RIGHTS = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}

OURS = {name for name, service in SERVICES.items() if service.get("image") == "orderapp:latest"}


def test_each_process_of_ours_is_there() -> None:
    """None is looked at below that is not found here."""
    assert {"migrate", "web", "relay", "worker", "webhook_worker", "beat", "flower", "receiver"} == OURS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_not_write_to_its_image(name: str) -> None:
    """What gets in cannot put itself where it would be started again; what is written goes to memory or to a volume."""
    service = SERVICES[name]
    assert service.get("read_only", False) is (name not in WRITES_TO_ITS_IMAGE)
    assert "/tmp" in service.get("tmpfs", []) or name in WRITES_TO_ITS_IMAGE
    assert name not in OURS or "volumes" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_of_root_and_gets_none(name: str) -> None:
    """Of root's forty rights none, and no program with a setuid bit gives any back."""
    service = SERVICES[name]
    assert service.get("cap_drop") == ["ALL"]
    assert set(service.get("cap_add", [])) == (ITS_RIGHTS if name in BECOMES_ANOTHER_USER else set())
    assert service.get("security_opt") == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "pid", "network_mode", "ipc", "devices", "userns_mode"}
