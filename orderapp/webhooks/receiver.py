"""A webhook receiver for trying things out: it checks each signature and tells what came."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

import orjson

from .endpoint import printable
from .signature import fault_of

# Seconds between two looks at whether to stop; a person does not notice it.
STOP_POLL = 0.2

# Bytes. An order of 100 lines is about 12 KiB; more than this is no webhook of ours.
BODY_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Received:
    """One webhook as it came; ``fault`` says why it must not be believed."""

    at: datetime
    body: dict[str, Any]
    fault: str | None

    def __str__(self) -> str:
        """Word it in one line."""
        order = self.body.get("data") if isinstance(self.body.get("data"), dict) else None
        about = order or {}
        words = [
            f"{self.at:%H:%M:%S}",
            str(self.body.get("type", "unreadable")),
            f"order {about.get('id', '?')} {about.get('status', '?')}",
            f"total {about.get('total_amount') or '-'} {about.get('currency', '')}".rstrip(),
            f"sequence {self.body.get('sequence', '?')}",
            "signature valid" if self.fault is None else f"signature INVALID: {self.fault}",
        ]
        return printable("  ".join(words))


@dataclass(frozen=True)
class Behaviour:
    """How the receiver misbehaves on request: a status instead of its own, an answer that comes late or never."""

    status: int | None = None
    delay: float = 0
    hang: bool = False


class Receiver(ThreadingHTTPServer):
    """Listens on loopback, unless told otherwise; ``tell`` hears of each webhook before it is answered. Port 0 takes any."""

    timeout = STOP_POLL

    daemon_threads = True  # those that hang on purpose end with the process

    def __init__(
        self,
        port: int,
        secret: str,
        tell: Callable[[Received], None],
        host: str = "127.0.0.1",
        behaviour: Behaviour = Behaviour(),
    ) -> None:
        self.secret, self.tell, self.behaviour = secret, tell, behaviour
        super().__init__((host, port), _Handler)

    def run_once(self) -> float:
        """Answer one request, if one comes soon."""
        self.handle_request()
        return 0


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"  # so that the sender can keep its connection

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            self._answer(HTTPStatus.BAD_REQUEST, "a webhook has a Content-Length of at most 1 MiB", close=True)
            return
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            self.close_connection = True  # its sender died on the way: half a webhook is not a forged one
            return
        fault = fault_of(self.server.secret, dict(self.headers.items()), raw)
        self.server.tell(Received(datetime.now().astimezone(), _parsed(raw), fault))
        behaviour = self.server.behaviour
        Event().wait(None if behaviour.hang else behaviour.delay)
        status = HTTPStatus.OK if fault is None else HTTPStatus.BAD_REQUEST
        self._answer(behaviour.status or status, fault or "thank you")

    def _answer(self, status: int, text: str, *, close: bool = False) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Keep quiet: ``tell`` says it better."""


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
