"""The processes of the service, as `make run` starts them."""

import sys
from dataclasses import dataclass

from config import Settings

_PYTHON = sys.executable
_CELERY = [_PYTHON, "-m", "celery", "--quiet", "-A", "celery_worker"]

# Gossip and mingle ask other workers for what nothing here uses; on the file broker each question costs files.
_WORKER = ["worker", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]


@dataclass(frozen=True)
class Child:
    """One process: its name stands before its lines."""

    name: str
    command: list[str]
    ready_when: str | None = None  # what a line holds that it prints once it works
    ends_last: bool = False  # the others need it while they end


def children(settings: Settings, *, receives_webhooks: bool) -> list[Child]:
    """Return every process of the service. Orders and webhooks have workers of their own: a slow receiver holds up no order."""
    flower = ["flower", f"--port={settings.flower_port}", "--address=127.0.0.1"]
    listen = [_PYTHON, "-m", "flask", "webhooks", "listen", "--port", str(settings.receiver_port)]
    all_of_them = [
        Child("web", [_PYTHON, "-m", "gunicorn", "wsgi:app"]),
        Child("relay", [_PYTHON, "-m", "flask", "outbox", "relay"], ready_when="relay started"),
        Child("worker", [*_CELERY, *_WORKER, "-Q", "orders,maintenance", "-n", "orders@%h", "-c", "2"], ready_when=" ready"),
        Child("hooks", [*_CELERY, *_WORKER, "-Q", "webhooks", "-n", "webhooks@%h", "-c", "4"], ready_when=" ready"),
        Child("beat", [*_CELERY, "beat"]),
        Child("flower", [*_CELERY, *flower], ends_last=True),
    ]
    if receives_webhooks:
        # It reads the secret from WEBHOOK_SECRET: a command line is there for everybody to see.
        all_of_them.append(Child("receiver", listen, ready_when="listening", ends_last=True))
    return all_of_them
