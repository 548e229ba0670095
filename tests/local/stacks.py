"""Runs of `python -m orderapp.local`, mostly with stand-ins for the service's processes."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import config

from .processes import eventually

MAIN = """
import json, sys
from pathlib import Path
import orderapp.local.stack
from orderapp.local.__main__ import main
from orderapp.local.children import Child
stand_ins, constants = json.loads(sys.argv[2]), json.loads(sys.argv[3])
vars(orderapp.local.stack).update(constants)
sys.exit(main(Path(sys.argv[1]), [Child(**child) for child in stand_ins] if stand_ins else None))
"""

# Answers every path with 200 on PORT.
WEB = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists(os.environ.get("ASKED_TO_FAIL", "/")) else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""

STAND_INS = [{"name": "web", "command": [sys.executable, "-c", WEB]}]
PORTS = ("PORT", "FLOWER_PORT", "RECEIVER_PORT")
GREETING = "Ctrl-C stops everything"


NO_TABLES = {"PREPARATIONS": ()}  # most tests do without, and are four times as fast


def command(var: Path, children: Any, constants: dict[str, Any]) -> list[str]:
    """Return the words that run it, with other constants in stack.py."""
    return [sys.executable, "-c", MAIN, str(var), json.dumps(children), json.dumps(constants)]


class Stack:
    """One run of it, and what it has printed so far."""

    def __init__(self, var: Path, children: Any, constants: dict[str, Any], variables: dict[str, str]) -> None:
        self.var = var
        self.output = var.parent / "output"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command(var, children, constants),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=variables,
                cwd=config.ROOT,
            )

    @property
    def text(self) -> str:
        """Return everything printed."""
        return self.output.read_text()

    def says(self, text: str, within: float = 90) -> bool:
        """Wait for a text."""
        return eventually(lambda: text in self.text or self.process.poll() is not None, within) and text in self.text

    def ends(self, code: int) -> str:
        """Wait for its end and check its exit code; everything printed."""
        assert self.process.wait(90) == code, self.text
        return self.text

    def is_asked_to_end(self) -> str:
        """Press Ctrl-C and wait."""
        self.process.send_signal(signal.SIGINT)
        return self.ends(0)

    @property
    def urls(self) -> dict[str, str]:
        """Return what other commands join."""
        return config.running_stack(self.var / "stack.json")


# What the fixture of that name gives.
Start = Callable[..., Stack]


def server_of(stack: Stack) -> int:
    """Return the process of the embedded PostgreSQL."""
    return int((stack.var / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
