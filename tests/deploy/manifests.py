"""The manifests of deploy/kubernetes as Kubernetes gets them."""

from typing import Any

import yaml

import config

HOME = config.ROOT / "deploy/kubernetes"

Manifest = dict[str, Any]

# Kustomize's own file is no object of the cluster.
FILES = sorted(path for path in [*HOME.glob("*.yaml"), *HOME.glob("optional/*.yaml")] if path.name != "kustomization.yaml")

ALL: list[Manifest] = [one for path in FILES for one in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds: str) -> dict[str, Manifest]:
    """Return the objects of these kinds by name."""
    return {one["metadata"]["name"]: one for one in ALL if one["kind"] in kinds}


DEPLOYMENTS = of_kind("Deployment")

# What runs: all of them are made of pods with one container.
PODS: dict[str, Manifest] = {name: one["spec"]["template"] for name, one in of_kind("Deployment", "Job").items()}

CONTAINERS: dict[str, Manifest] = {name: pod["spec"]["containers"][0] for name, pod in PODS.items()}

CONFIG: dict[str, str] = of_kind("ConfigMap")["orderapp"]["data"]


def environment(name: str, secrets: dict[str, str], broker_url: str) -> dict[str, str]:
    """Return the variables of a pod when these are the Secret's values and this is RabbitMQ's URL for every role."""
    own = {one["name"]: one.get("value", broker_url) for one in CONTAINERS[name]["env"]}
    return {**CONFIG, **secrets, **own}


def probes(container: Manifest) -> list[Manifest]:
    """Return what Kubernetes asks a container, and what it tells it before the end."""
    asked = [one for name, one in container.items() if name.endswith("Probe")]
    return asked + list(container.get("lifecycle", {}).values())
