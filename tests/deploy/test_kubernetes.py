"""The manifests: they start what the units start, with settings that exist, and end it as slowly as it needs."""

import re

import pytest
import yaml
from flask import Flask

import config
import heartbeat
from orderapp.queues import ORDERS_PROCESS, QUEUE_NAMES, TASKS, WEBHOOKS_DELIVER
from orderapp.worker import SOFT_SHUTDOWN
from tests.deploy.manifests import (
    ALL,
    CONFIG,
    CONTAINERS,
    DEPLOYMENTS,
    FILES,
    HOME,
    PODS,
    environment,
    of_kind,
    probes,
)
from tests.test_install import command_of, units

# What docs/install.md has put into the Secret `orderapp`.
SECRETS = {
    "DATABASE_URL": "postgresql://orderapp:long-enough@postgres:5432/orderapp",
    "SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "METRICS_TOKEN": "0123456789abcdef",
    "FLOWER_BASIC_AUTH": "operator:long-enough",
}

BROKER_URL = "amqp://orderapp-relay:long-enough@rabbitmq:5672//"

# Megabytes of one process, as docs/measurements.md has it; what was not measured counts as a worker's.
ONE_PROCESS = {"web": 92, "worker": 105}


def test_kustomize_is_told_of_every_file_and_of_this_version() -> None:
    """A file that is not listed is never applied; another version's image would find another version's tables."""
    told = yaml.safe_load((HOME / "kustomization.yaml").read_text())
    assert sorted(told["resources"]) == [path.name for path in FILES if path.parent == HOME]
    assert [(image["name"], image["newTag"]) for image in told["images"]] == [("orderapp", config.VERSION)]
    assert {container["image"] for container in CONTAINERS.values()} == {f"orderapp:{config.VERSION}"}


def test_each_pod_runs_what_its_unit_runs() -> None:
    """One list of commands: the contract's, which the units are compared with. The Job's is compose's."""
    commands = {name: container["command"] for name, container in CONTAINERS.items()}
    assert commands.pop("migrate") == ["flask", "db", "upgrade"]
    assert commands == {name: command_of(unit) for name, unit in units().items()}


@pytest.mark.parametrize("name", PODS)
def test_production_starts_with_these_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is a setting, and production refuses none: neither the web's nobody at the broker nor an open Flower."""
    variables = environment(name, SECRETS, BROKER_URL)
    assert variables.keys() <= {setting.name for setting in config.SETTINGS}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    settings = config.load(HOME / "there-is-no.env")
    assert settings.app_env == "production"
    assert settings.web_host == "0.0.0.0"


def test_only_the_roles_that_talk_to_the_broker_have_its_password() -> None:
    """And each has its own."""
    given = {name: container["env"] for name, container in CONTAINERS.items()}
    for name in ("web", "migrate"):
        assert given.pop(name) == [{"name": "CELERY_BROKER_URL", "value": "amqp://127.0.0.1//"}]
    roles = {name: own[0]["valueFrom"]["secretKeyRef"] for name, own in given.items()}
    assert {name: role["key"] for name, role in roles.items()} == {
        **{name: name for name in ("relay", "worker", "beat", "flower")},
        "webhook-worker": "worker",
    }
    assert {role["name"] for role in roles.values()} == {"orderapp-broker"}


@pytest.mark.parametrize("name", PODS)
def test_pods_may_write_to_memory_only_and_have_no_rights(name: str) -> None:
    """What Kubernetes' own standard `restricted` asks for, and a read-only image; the uid is the image's."""
    pod, container = PODS[name]["spec"], CONTAINERS[name]
    uid = int(re.findall(r"^USER (\d+)$", (config.ROOT / "Dockerfile").read_text(), re.MULTILINE)[0])
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), uid),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {volume["name"]: volume["emptyDir"]["medium"] for volume in pod["volumes"]} == {"tmp": "Memory", "shm": "Memory"}
    assert {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]} == {"/tmp": "tmp", "/dev/shm": "shm"}
    assert pod["enableServiceLinks"] is False  # FLOWER_PORT=tcp://10.0.0.1:5555 is no port
    assert pod["automountServiceAccountToken"] is False
    assert len(pod["containers"]) == 1


def test_ports_are_those_of_the_settings() -> None:
    """And whoever names one means one that is there."""
    numbers = {
        "http": int(CONFIG["PORT"]),
        "flower": int(CONFIG["FLOWER_PORT"]),
        "metrics": int(CONFIG["METRICS_LISTEN"].rpartition(":")[2]),
    }
    open_ports = {name: {port["name"] for port in one.get("ports", [])} for name, one in CONTAINERS.items()}
    for name, container in CONTAINERS.items():
        for port in container.get("ports", []):
            assert port["containerPort"] == numbers[port["name"]], name
        asked = {probe["httpGet"]["port"] for probe in probes(container) if "httpGet" in probe}
        assert asked <= open_ports[name]
    for name, service in of_kind("Service").items():
        [port] = service["spec"]["ports"]
        assert port["port"] == numbers[port["targetPort"]]
        assert port["targetPort"] in open_ports[name]


def test_objects_find_the_pods_they_are_about() -> None:
    """A selector that matches nothing is no error to Kubernetes; the label is the job that the alerts know."""
    for name, one in {**DEPLOYMENTS, **of_kind("Job")}.items():
        own = {"app.kubernetes.io/name": "orderapp", "app.kubernetes.io/component": name.replace("-", "_")}
        assert one["metadata"]["labels"] == PODS[name]["metadata"]["labels"] == own
    for kind in ("Deployment", "PodDisruptionBudget", "Service"):
        for name, one in of_kind(kind).items():
            selector = one["spec"]["selector"]
            assert selector.get("matchLabels", selector) == PODS[name]["metadata"]["labels"], f"{kind} {name}"


def test_every_probe_asks_what_is_there(app: Flask) -> None:
    """A path of the web's, or a command of heartbeat.py; Flower's own path is the one that compose asks."""
    addresses = app.url_map.bind("")
    for name, container in CONTAINERS.items():
        assert name == "migrate" or {"startupProbe", "livenessProbe"} <= container.keys()
        for probe in probes(container):
            if "exec" in probe:
                assert probe["exec"]["command"][:2] == ["python", "heartbeat.py"]
                assert probe["exec"]["command"][2] in heartbeat.health.commands
            elif name == "web":
                addresses.match(probe["httpGet"]["path"])
            else:
                assert (name, probe["httpGet"]["path"]) == ("flower", "/healthcheck")


def test_a_drained_instance_is_left_alone_before_it_ends() -> None:
    """preStop, then gunicorn's own time; and the balancer has noticed when the first of them is over."""
    web = CONTAINERS["web"]
    [graceful] = re.findall(r"^graceful_timeout = (\d+)", (config.ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)
    assert web["lifecycle"]["preStop"]["exec"]["command"] == ["python", "heartbeat.py", "drain"]
    assert PODS["web"]["spec"]["terminationGracePeriodSeconds"] > heartbeat.NOTICED_WITHIN + int(graceful)
    ready = web["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < heartbeat.NOTICED_WITHIN


def test_a_worker_is_killed_only_after_its_tasks_were() -> None:
    """Those of orders and of webhooks; a summary takes longer and begins anew."""
    ends = {name: pod["spec"].get("terminationGracePeriodSeconds", 0) for name, pod in PODS.items()}
    assert ends["worker"] > max(SOFT_SHUTDOWN, TASKS[ORDERS_PROCESS].time_limit)
    assert ends["webhook-worker"] > SOFT_SHUTDOWN + TASKS[WEBHOOKS_DELIVER].time_limit


def test_what_runs_twice_may_be_disrupted_once_and_beat_is_alone() -> None:
    """A budget for a single pod would keep its node from ever being emptied."""
    several = {name for name, one in DEPLOYMENTS.items() if one["spec"]["replicas"] > 1}
    assert several == of_kind("PodDisruptionBudget").keys() == {"web", "relay", "worker", "webhook-worker"}
    beat = DEPLOYMENTS["beat"]["spec"]
    assert (beat["replicas"], beat["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize("name", PODS)
def test_each_pod_is_given_the_memory_that_was_measured(name: str) -> None:
    """Per process; and it is ended before it takes the node's."""
    given, command = CONTAINERS[name]["resources"], CONTAINERS[name]["command"]
    children = int(CONFIG["WEB_WORKERS"]) if name == "web" else int(command[command.index("-c") + 1]) if "-c" in command else 0
    least = (1 + children) * ONE_PROCESS.get(name, ONE_PROCESS["worker"]) * 1_000_000
    assert least <= _octets(given["requests"]["memory"]) < _octets(given["limits"]["memory"])
    assert "cpu" in given["requests"]
    assert "cpu" not in given["limits"]


def _octets(memory: str) -> int:
    return int(memory.removesuffix("Mi")) * 2**20


def test_keda_counts_the_queues_that_its_workers_serve() -> None:
    """As the worker's user, and from as many workers as are there without it."""
    [login] = of_kind("TriggerAuthentication").values()
    [secret] = login["spec"]["secretTargetRef"]
    for name, one in of_kind("ScaledObject").items():
        spec, command = one["spec"], CONTAINERS[name]["command"]
        [trigger] = spec["triggers"]
        assert spec["scaleTargetRef"] == {"name": name}
        assert spec["minReplicaCount"] == DEPLOYMENTS[name]["spec"]["replicas"] < spec["maxReplicaCount"]
        assert trigger["metadata"]["queueName"] in {*QUEUE_NAMES} & {*command[command.index("-Q") + 1].split(",")}
        assert trigger["authenticationRef"]["name"] == login["metadata"]["name"]
        reference = CONTAINERS[name]["env"][0]["valueFrom"]["secretKeyRef"]
        assert (secret["name"], secret["key"]) == (reference["name"], reference["key"])


def test_no_object_is_of_an_unexpected_kind() -> None:
    """Whoever adds one adds what it must be like."""
    assert {(one["apiVersion"], one["kind"]) for one in ALL} == {
        ("v1", "ConfigMap"),
        ("v1", "Service"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "Job"),
        ("policy/v1", "PodDisruptionBudget"),
        ("keda.sh/v1alpha1", "ScaledObject"),
        ("keda.sh/v1alpha1", "TriggerAuthentication"),
    }
