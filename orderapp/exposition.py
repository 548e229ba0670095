"""Who may read what a process has counted, and where processes without a web server of their own show it."""

import hmac
import os
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from config import Settings
from orderapp import telemetry

log = structlog.get_logger(__name__)

# What a proxy adds. A request that came through one is from somewhere else, whoever brings it to our door.
PROXIES_WORDS = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via")

# Seconds that a caller may take to say what it wants: whoever says nothing must not hold a thread for ever.
PATIENCE = 5


def may_read(peer: str, header: Callable[[str], str | None], token: str | None) -> bool:
    """Tell whether a caller may read metrics: it brings the token, or calls from this machine itself.

    ``peer`` is the other end of the connection and no proxy's word for it: with one proxy too many in TRUSTED_PROXIES,
    that could be chosen by anybody.
    """
    given = header("Authorization") or ""
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return True
    return _is_loopback(peer) and not any(header(word) for word in PROXIES_WORDS)


def _is_loopback(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:  # a Unix socket's: whoever speaks through it is a proxy
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def page(registry: CollectorRegistry) -> tuple[bytes, str]:
    """Return the metrics as Prometheus reads them, and their content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST


def listen(settings: Settings) -> ThreadingHTTPServer | None:
    """Answer GET /metrics at METRICS_LISTEN, in a thread, as long as the process lives. None without that setting.

    A port that is taken is said in the log and no reason not to work.
    """
    if not settings.metrics_listen:
        return None
    host, _, port = settings.metrics_listen.rpartition(":")
    try:
        server = _server(host.strip("[]"), int(port), partial(_Handler, settings.metrics_token))
    except (OSError, OverflowError) as error:
        log.warning("metrics are not shown", address=settings.metrics_listen, fault=str(error))
        return None
    # A worker's children outlive it when it is killed; with a copy of the socket they would keep the port from its successor.
    os.register_at_fork(after_in_child=server.socket.close)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _server(host: str, port: int, handler: Any) -> ThreadingHTTPServer:
    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in host else AF_INET
        daemon_threads = True

        def handle_error(self, *_about: Any) -> None:
            """Leave a caller alone who hung up."""

    return Server((host, port), handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE

    def __init__(self, token: str | None, *args: Any) -> None:
        self._token = token
        super().__init__(*args)

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND)
        elif not may_read(self.client_address[0], self.headers.get, self._token):
            self.send_error(HTTPStatus.FORBIDDEN)
        else:
            body, content_type = page(telemetry.registry())
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        """Say nothing: this is asked every few seconds."""
