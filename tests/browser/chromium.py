"""Chromium: found, or, as root on Debian, installed."""

import os
import shutil
import subprocess
from functools import cache

from tests.servers.debian import APT_TIMEOUT, APT_WAIT

INSTALL = "apt-get install -y --no-install-recommends chromium"
REMEDY = f"sudo {INSTALL}, then: make test"

# No sandbox: tests run as root in containers. The rest keeps the browser from talking to anybody but the page's server.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@cache
def chromium() -> tuple[str, str]:
    """Return the path of the browser and an empty fault, or why there is none."""
    found = _find()
    fault = ""
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        fault = _install()
        found = _find()
    return found, "" if found else fault or "Chromium is not installed"


def _find() -> str:
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


def _install() -> str:
    """Install Debian's package; returns apt's last words when that fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    words = ""
    for command in ("apt-get update", INSTALL):
        argv = [*command.split(), "-q", "-o", f"DPkg::Lock::Timeout={APT_WAIT}"]
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=APT_TIMEOUT, check=False
        )
        # An update that missed one of several sources may still be enough; the install decides.
        words = f"{command}: {done.stderr.strip() or done.stdout.strip()}" if done.returncode else ""
    return words
