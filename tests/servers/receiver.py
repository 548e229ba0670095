"""A webhook receiver that records what it gets and answers what it is told."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
from standardwebhooks import Webhook

from tests.servers.waiting import free_port, wait_until

# 32 bytes in base64: a key for tests only.
SECRET = "whsec_dGVzdHMtb25seS1zZWNyZXQtb2YtdGhpcnR5LXR3by4="


@dataclass(frozen=True)
class Received:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        """Return the webhook-id: the same for every attempt of one event."""
        return self.headers["webhook-id"]

    def json(self) -> Any:
        """Return the parsed body."""
        return orjson.loads(self.body)

    def verify(self, secret: str = SECRET) -> Any:
        """Return the payload. Raises standardwebhooks' error when signature or time are wrong."""
        return Webhook(secret).verify(self.body, dict(self.headers))


class Receiver:
    """A small HTTP server on 127.0.0.1. ``status`` and ``delay`` may be changed at any time."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.status = 200
        self.delay = 0.0
        self.answer: Callable[[Received], int] | None = None  # decides the status per request, instead of `status`
        self.requests: list[Received] = []
        self.secret = SECRET
        self.host = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.host}/hook"
        self._over = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings that make the service send here."""
        return {"WEBHOOK_URL": self.url, "WEBHOOK_SECRET": self.secret, "WEBHOOK_ALLOWED_HOSTS": self.host}

    def start(self) -> None:
        """Listen (again) on the same port."""
        self._over.clear()
        host, _, port = self.host.partition(":")
        self._server = ThreadingHTTPServer((host, int(port)), self._handler())
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on; requests that are being delayed are answered at once."""
        self._over.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def wait_for(self, count: int, seconds: float = 30) -> list[Received]:
        """Return the requests when there are at least so many."""
        wait_until(lambda: len(self.requests) >= count, seconds, f"{count} webhooks at {self.url}")
        return list(self.requests)

    def _take(self, request: Received) -> int:
        self.requests.append(request)
        self._over.wait(self.delay)
        return self.answer(request) if self.answer else self.status

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            """Hands each request to the receiver."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Record, then answer."""
                headers = {name.lower(): value for name, value in self.headers.items()}
                length = int(headers.get("content-length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # its sender was killed between the headers and the body: no receiver acts on half a request
                status = take(Received(self.command, self.path, headers, body))
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except ConnectionError:
                    self.close_connection = True  # the sender gave up or was killed: often what a test wants

            do_GET = do_PUT = do_POST  # noqa: N815 - the names that http.server looks for

            def log_message(self, *_arguments: object) -> None:
                """Print nothing: the test reads the list of requests."""

        return Handler
