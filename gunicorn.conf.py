"""How gunicorn serves ``wsgi:app``: ``gunicorn wsgi:app`` reads this file by itself."""

from contextlib import suppress
from typing import Any

import tally
from config import load_or_exit
from heartbeat import set_draining

_settings = load_or_exit()  # a fault ends the master here, before it forks workers that would die one by one

# Before the application is loaded: all workers count together, and each of them answers /metrics for all.
tally.gather()

# The instance before this one was drained, not this one.
with suppress(OSError):
    set_draining(_settings.port, draining=False)

bind = f"{_settings.web_host}:{_settings.port}"

# gunicorn's own threads, because a request mostly waits for PostgreSQL, except that no client holds one; processes because
# Python runs one thread at a time.
worker_class = "orderapp.reception.Worker"
workers = _settings.web_workers
threads = _settings.web_threads

# Load the application once and fork: the workers share its memory. No connection is open at that point.
preload_app = True

# A request is a few statements; one that takes 30 s (the role's statement_timeout) is stuck.
timeout = 30

# A connection is a file, and gunicorn's process ends when it runs out of them: 1,024 where systemd starts it.
worker_connections = 800

# Longer than the 60 s that proxies commonly keep idle connections: who closes one may cross with the other's POST on it, and
# a proxy knows when it has sent one.
keepalive = 75

# SIGTERM: answer what was accepted. Docker and Kubernetes kill after 30 s or 10 s; a POST takes milliseconds.
graceful_timeout = 8

# A heartbeat file on a disk can block on that disk; shared memory cannot.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - gunicorn creates a private file there

# No access log: the proxy in front writes one, and each line would cost a write per POST.
accesslog = None
errorlog = "-"
control_socket_disable = True

# Whether a proxy in front may say that a request came over HTTPS, TRUSTED_PROXIES decides; gunicorn by itself believes
# whoever is on this machine.
forwarded_allow_ips = ""


def post_fork(_server: Any, _worker: Any) -> None:
    """Drop what the fork copied: two processes on one database socket would read each other's rows."""
    from orderapp.database import forget_connections  # noqa: PLC0415 - after the fork
    from wsgi import app  # noqa: PLC0415

    with app.app_context():
        forget_connections()


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the requests that a dead worker had in hand: it will not answer them."""
    from orderapp.telemetry import forget_process  # noqa: PLC0415 - as above

    forget_process(worker.pid)
