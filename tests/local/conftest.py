"""A folder for one PostgreSQL, and runs of the whole stack that do not outlive their test."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import config

from .servers import elsewhere_name
from .stacks import NO_TABLES, PORTS, STAND_INS, Stack, Start


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder for one server; what it put elsewhere is removed."""
    folder = tmp_path / "postgres"
    yield folder
    for elsewhere in ("/tmp", "/var/tmp"):
        shutil.rmtree(Path(elsewhere) / elsewhere_name(folder), ignore_errors=True)


@pytest.fixture
def variables() -> dict[str, str]:
    """Return an environment with nothing of ours set but free ports."""
    ours = {name for setting in config.SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
    variables = {name: value for name, value in os.environ.items() if name not in ours and name != "MAKELEVEL"}
    with ExitStack() as sockets:
        for name in PORTS:
            variables[name] = str(sockets.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1])
    return variables


@pytest.fixture
def start(tmp_path: Path, variables: dict[str, str]) -> Iterator[Start]:
    """Give a starter: ``start()``, or ``start(None, {})`` for the real thing; nothing outlives the test."""
    started: list[Stack] = []

    def begin(children: Any = STAND_INS, constants: dict[str, Any] = NO_TABLES, **settings: str) -> Stack:
        started.append(Stack(tmp_path / "var", children, constants, {**variables, **settings}))
        return started[-1]

    yield begin
    for stack in started:
        stack.process.terminate()
        stack.process.wait(90)
