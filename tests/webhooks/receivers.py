"""Receivers that behave in every way a stranger's server can."""

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

# Between two bytes of a dripping receiver: far below any timeout per read.
DRIP_EVERY = 0.02


@dataclass(frozen=True)
class Request:
    """One request as it came; ``peer`` tells connections apart."""

    path: str
    headers: Message
    body: bytes
    peer: tuple[str, int]


class RecordingReceiver(ThreadingHTTPServer):
    """Keeps every request; ``behave`` answers it (200 unless told otherwise)."""

    request_queue_size = 50

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: list[Request] = []
        self.behave: Behaviour = answering(200)
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        """Serve in a thread."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_args: object) -> None:
        """Let hanging answers go and stop."""
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_args: object) -> None:
        """Say nothing: senders hang up on purpose here."""


class _Handler(BaseHTTPRequestHandler):
    server: RecordingReceiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Request(self.path, self.headers, body, self.client_address))
        self.server.behave(self)

    def do_GET(self) -> None:
        self.server.requests.append(Request(self.path, self.headers, b"", self.client_address))
        self.server.behave(self)

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


Behaviour = Callable[[BaseHTTPRequestHandler], None]


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer at once; ``set_cookie="a=1"`` becomes the header Set-Cookie."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Behave differently at each request, then as at the last."""
    waiting = list(behaviours)

    def behave(handler: BaseHTTPRequestHandler) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(handler)

    return behave


def hanging(handler: BaseHTTPRequestHandler) -> None:
    """Take the request and never answer."""
    handler.server.released.wait()  # type: ignore[attr-defined]
    handler.close_connection = True


def hanging_up(handler: BaseHTTPRequestHandler) -> None:
    """Take the request and close the connection."""
    handler.close_connection = True


def dripping(start: bytes) -> Behaviour:
    """Answer with these bytes and then byte by byte without an end."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(start)
            while not handler.server.released.wait(DRIP_EVERY):  # type: ignore[attr-defined]
                handler.wfile.write(b"x")

    return behave
