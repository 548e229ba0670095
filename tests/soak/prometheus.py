"""A Prometheus of its own with the rules of deploy/monitoring, in a hurry: what they allow minutes takes seconds here."""

import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

import config
from tests.servers import debian
from tests.servers.processes import Process
from tests.servers.waiting import free_port, wait_until

RULES = config.ROOT / "deploy/monitoring/alerts.yml"

# How long a cause must last, and how far back a rate looks: as many looks as the real ones hold, at one a second.
HURRY = ((r"for: \w+", "for: 3s"), (r"\[5m\]", "[12s]"), (r"\[1h\]", "[20s]"))

# Seconds until an alert fires or ends: metrics look back a minute, and thresholds of half a minute stay what they are.
PATIENCE = 240

# Seconds between two looks.
PACE = 0.5

# Whose alerts they are, where a rule has them for several.
Alert = tuple[str, str]


def known() -> set[Alert]:
    """Return every alert there is, with its job, which is empty where there is only one."""
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    return {(rule["alert"], rule["labels"].get("job", "")) for rule in rules}


class Prometheus:
    """Asks processes for their metrics once a second."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        """Start it; ``targets`` are addresses by job. Raises MissingPackageError."""
        debian.promtool()  # comes with the server
        folder.mkdir()
        rules = RULES.read_text()
        for pattern, hurried in HURRY:
            rules = re.sub(pattern, hurried, rules)
        (folder / "alerts.yml").write_text(rules)
        jobs = [{"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()]
        every = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
        settings = {"global": every, "rule_files": ["alerts.yml"], "scrape_configs": jobs}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
        address = f"127.0.0.1:{free_port()}"
        self._url = f"http://{address}/api/v1/alerts"
        argv = [str(shutil.which("prometheus")), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        self.process = Process("prometheus", [*argv, f"--web.listen-address={address}"], {}, folder / "output")

    def firing(self) -> set[Alert]:
        """Return what fires now."""
        answer: dict[str, Any] = requests.get(self._url, timeout=PATIENCE).json()
        fired = [alert["labels"] for alert in answer["data"]["alerts"] if alert["state"] == "firing"]
        return {(labels["alertname"], labels["job"] if labels["alertname"] == "ProcessDown" else "") for labels in fired}

    def wait_until_firing(self, alerts: set[Alert], meanwhile: Callable[[], object]) -> None:
        """Return when all of these fire, calling ``meanwhile`` twice a second; raises AssertionError when they do not."""
        self._wait(lambda: (meanwhile(), alerts <= self.firing())[1], f"{alerts} to fire")

    def wait_until_silent(self) -> None:
        """Return when nothing fires; raises AssertionError when something goes on."""
        self._wait(lambda: not self.firing(), "all alerts to end")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            time.sleep(PACE)
            return condition()

        try:
            wait_until(look, PATIENCE, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; firing: {self.firing()}") from None
