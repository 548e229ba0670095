"""The installation page: its units start what the service has, as compose does."""

import re
import shlex

import pytest
from celery.bin.celery import celery as celery_command
from flask import Flask

import config
from orderapp.queues import QUEUE_NAMES

PAGE = config.ROOT / "docs/install.md"

PROGRAMS = "/opt/orderapp/.venv/bin/"

# The commands that the outside relies on: compose and the units may add options to them.
CONTRACT = {
    "web": ["gunicorn", "wsgi:app"],
    "relay": ["flask", "outbox", "relay"],
    "worker": ["celery", "-A", "celery_worker", "worker"],
    "webhook-worker": ["celery", "-A", "celery_worker", "worker"],
    "beat": ["celery", "-A", "celery_worker", "beat"],
    "flower": ["celery", "-A", "celery_worker", "flower"],
}


def units() -> dict[str, str]:
    """Return the units of the page by name: what stands in each file."""
    return dict(re.findall(r"```ini\n# /etc/systemd/system/orderapp-([\w-]+)\.service\n(.*?)```", PAGE.read_text(), re.DOTALL))


def command_of(unit: str) -> list[str]:
    """Return what a unit starts, without its folder."""
    [line] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert line.startswith(PROGRAMS)
    return shlex.split(line.removeprefix(PROGRAMS).replace("%%", "%"))


def test_each_process_has_a_unit_that_starts_its_command() -> None:
    """And no unit starts anything else."""
    commands = {name: command_of(unit) for name, unit in units().items()}
    assert commands.keys() == CONTRACT.keys()
    assert {name: command[: len(CONTRACT[name])] for name, command in commands.items()} == CONTRACT


def test_the_commands_exist(app: Flask) -> None:
    """Under these names, with these options; Flower's own come after it."""
    assert "relay" in app.cli.commands["outbox"].commands  # type: ignore[attr-defined] # a group
    for unit in units().values():
        program, *arguments = command_of(unit)
        if program == "celery" and arguments[2] != "flower":
            celery_command.commands[arguments[2]].make_context(arguments[2], arguments[3:], resilient_parsing=True)


@pytest.mark.parametrize("name", [name for name in CONTRACT if name != "web"])
def test_the_units_start_what_compose_starts(name: str) -> None:
    """One of the two would otherwise be forgotten at the next change. The web's command is the image's own."""
    compose = (config.ROOT / "docker-compose.yml").read_text()
    [listed] = re.findall(rf"^  {name.replace('-', '_')}:\n(?:    .*\n)*?    command: \[(.*)\]$", compose, re.MULTILINE)
    assert command_of(units()[name]) == re.findall(r'"([^"]*)"', listed)


def test_the_workers_serve_every_queue() -> None:
    """A queue without a worker would fill up in silence."""
    served = [command[command.index("-Q") + 1] for command in map(command_of, units().values()) if "-Q" in command]
    assert sorted(",".join(served).split(",")) == sorted(QUEUE_NAMES)
