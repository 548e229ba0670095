"""A peer that speaks just enough AMQP 0-9-1 for a publisher, and answers each publish as a test says.

A real broker shows a late, wrong or missing confirm by bad luck only; this one shows it every time.
"""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from struct import pack, unpack

_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"

# What the client asks for, as (class, method), and the answer: its method number and its arguments.
_REPLIES: dict[tuple[int, int], tuple[int, bytes]] = {
    (10, 40): (41, b"\x00"),  # connection.open
    (20, 10): (11, pack(">I", 0)),  # channel.open
    (20, 40): (41, b""),  # channel.close
    (85, 10): (11, b""),  # confirm.select
}

# The AMQP table, mechanisms and locales of connection.start; channels, frame size and heartbeat of connection.tune.
_START = pack(">BBI", 0, 9, 0) + pack(">I", 5) + b"PLAIN" + pack(">I", 5) + b"en_US"
_TUNE = pack(">HIH", 100, 4096, 0)


# Octets of the message id, the last of the properties.
_UUID = 36


def _short(text: str) -> bytes:
    return pack("B", len(text)) + text.encode()


class Talk:
    """One client's connection: what it published, and what may be told to it."""

    def __init__(self, connection: socket.socket, answer: "Answer") -> None:
        self.published: list[int] = []
        self._ids: list[str] = []
        self._socket = connection
        self._answer = answer
        self._channel = 0

    def ack(self, tag: int, multiple: bool = False) -> None:
        """Confirm a delivery tag, or all up to it."""
        self._send(60, 80, pack(">QB", tag, multiple))

    def nack(self, tag: int, multiple: bool = False) -> None:
        """Refuse."""
        self._send(60, 120, pack(">QB", tag, multiple))

    def give_back(self, tag: int) -> None:
        """Return the message of this tag as unroutable."""
        arguments = pack(">H", 312) + _short("NO_ROUTE") + _short("") + _short("webhooks")
        self._send(60, 50, arguments)
        own_id = _short(self._ids[tag - 1])
        header = pack(">HHQH", 60, 0, 0, 1 << 7) + own_id
        self._frame(_HEADER, self._channel, header)

    def block(self) -> None:
        """Say that memory or disk are short."""
        self._send(10, 60, _short("low on memory"), channel=0)

    def hang_up(self) -> None:
        """Close the connection as a broker does that is shut down."""
        self._send(10, 50, pack(">H", 320) + _short("CONNECTION_FORCED") + pack(">HH", 0, 0), channel=0)

    def reset(self) -> None:
        """Be gone without a word."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        self._socket.close()

    def serve(self) -> None:
        """Answer until the client is gone."""
        self._read(8)  # "AMQP" and the version
        self._send(10, 10, _START, channel=0)
        with suppress(OSError, EOFError):
            while True:
                self._take(*self._read_frame())

    def _take(self, kind: int, channel: int, payload: bytes) -> None:
        if kind == _HEADER:
            self._ids.append(payload[-_UUID:].decode())
        elif kind == _BODY:
            self._channel = channel
            self.published.append(json.loads(payload)[0][0][0])
            self._answer(self, len(self.published))
        elif kind == _METHOD:
            self._reply(channel, *unpack(">HH", payload[:4]), payload[4:])

    def _reply(self, channel: int, kind: int, method: int, arguments: bytes) -> None:
        if (kind, method) == (10, 11):  # start-ok
            self._send(10, 30, _TUNE, channel=0)
        elif (kind, method) == (50, 10):  # queue.declare
            name = arguments[3 : 3 + arguments[2]]
            self._send(50, 11, pack("B", len(name)) + name + pack(">II", 0, 0), channel)
        elif (kind, method) in _REPLIES:
            number, answer = _REPLIES[kind, method]
            self._send(kind, number, answer, channel)

    def _send(self, kind: int, method: int, arguments: bytes, channel: int | None = None) -> None:
        self._frame(_METHOD, self._channel if channel is None else channel, pack(">HH", kind, method) + arguments)

    def _frame(self, kind: int, channel: int, payload: bytes) -> None:
        self._socket.sendall(pack(">BHI", kind, channel, len(payload)) + payload + _END)

    def _read_frame(self) -> tuple[int, int, bytes]:
        kind, channel, size = unpack(">BHI", self._read(7))
        payload = self._read(size + 1)
        return kind, channel, payload[:-1]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data


# Called after each publish with the connection and the delivery tag.
Answer = Callable[[Talk, int], None]


class ScriptedPeer:
    """Listens on 127.0.0.1 and serves every connection by the same script."""

    def __init__(self, answer: Answer) -> None:
        self.talks: list[Talk] = []
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"amqp://guest:guest@127.0.0.1:{self._server.getsockname()[1]}//"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._server.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.talks.append(Talk(connection, self._answer))
                threading.Thread(target=self.talks[-1].serve, daemon=True).start()
