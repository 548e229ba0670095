"""gunicorn's threaded worker, except that no thread waits for a client: a thread gets a request that is there in whole.

gunicorn gives a thread to each connection and lets it wait for what the client sends. Sixteen clients that begin a header and
never end it then hold all threads of two processes for ever; and its loop, before it accepts anybody else, waits two seconds
for a client that was answered and does not hang up. Here the loop reads what clients send, waits for none, and ends those that
take too long. What a request is, gunicorn's parser decides: this only looks whether it is complete.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from select import select
from selectors import EVENT_READ
from socket import MSG_DONTWAIT, SHUT_RDWR, SHUT_WR, socket
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

# Seconds that a client may take for one request, from its connection or first byte on: orders are a few hundred bytes.
PATIENCE = 10

# Seconds after which a thread leaves its client: 30 s for a statement (the role's statement_timeout), and as many to read the
# answer. Only one that does not fit into the kernel's buffer, some 100 KB, has to be waited for.
LONGEST = 60

# Seconds for a client to hang up after its answer. Closed at once, what it still sends would make the kernel throw away the end
# of the answer (RFC 9112, 9.6).
FAREWELL = 2

# Bytes of a request that are read before a thread sees it: a head of 16 KiB, twice what browsers and proxies send, and a body
# of 64 KiB, above which the application refuses it unread (MAX_BODY).
MOST_HEAD, MOST_BODY = 16 * 1024, 64 * 1024

# Seconds that a process waits before it takes a connection: for each that it has, and at most (with seventeen and more all wait
# alike). All processes are woken by a client, and the first one gets it. Clients that connect for each request pay: 7 % fewer
# GETs (14 % with a step of 0.1 ms).
STEP, LONGEST_STEP = 0.00003, 0.0005

_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
# Such a client sends no body before gunicorn has asked for it, from a thread.
_EXPECT = re.compile(rb"\nexpect:", re.IGNORECASE)
# The last chunk, and trailers that nobody here reads.
_LAST = re.compile(rb"\r\n0+(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n")

# Bytes in which a last chunk is looked for: each look costs as much, however long the body.
TAIL = 1024


def is_whole(received: bytes) -> bool | None:
    """Tell whether a thread can go through this request without waiting for more of it.

    None: there is more to come. False: it is too large, and a thread may refuse it as it is.
    """
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return None
    head += b"\r\n"
    length = _LENGTH.search(head)
    if _EXPECT.search(head):
        return True
    if _CHUNKED.search(head):
        whole = _LAST.search(b"\r\n" + body if len(body) < TAIL else body[-TAIL:]) is not None
    else:
        whole = length is None or len(body) >= int(length[1])
        if length and int(length[1]) > MOST_BODY:
            return False
    return True if whole else False if len(body) > MOST_BODY else None


class _Client(socket):
    """A client's connection, with fewer system calls: at each of them another thread may take the interpreter.

    The head of an answer leaves together with its body, where gunicorn sends one after the other; and the loop says for each
    read that it does not wait, where gunicorn changes the mode of the socket four times for each request.
    """

    def __init__(self, accepted: socket) -> None:
        super().__init__(fileno=accepted.detach())
        super().setblocking(True)
        self._held = b""

    def setblocking(self, _flag: bool) -> None:
        """Leave it as it is."""

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Hold a head that announces a body; send anything else behind what is held.

        Not until the answer is closed: what is noted about a client then may take its time, and the answer may not wait for it.
        """
        if data.startswith(b"HTTP/1.") and b"\r\nContent-Length: " in data:
            self._held += data
            return
        held, self._held = self._held, b""
        super().sendall(held + data)

    def sendfile(self, *arguments: Any, **words: Any) -> int:
        """Send a file behind what is held."""
        self.flush()
        return super().sendfile(*arguments, **words)

    def flush(self) -> None:
        """Send what is held: a head without its body, as HEAD asks for."""
        if self._held:
            self.sendall(b"")


def _news(sock: Any) -> bytes | None:
    """Return what has come from a client: None if nothing has, nothing if nothing more will."""
    try:
        return sock.recv(MOST_HEAD, MSG_DONTWAIT)  # type: ignore[no-any-return]
    except BlockingIOError:
        return None
    except OSError:
        return b""


class Worker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """A process of the web server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._busy: dict[Any, float] = {}
        self._leaving: deque[Any] = deque()
        self._told = 0.0

    def notify(self) -> None:
        """Tell the master that the loop goes round: once a second, not after each event. It waits for 30 s."""
        now = time.monotonic()
        if now >= self._told + 1:
            self._told = now
            super().notify()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Begin or stop taking connections; before the end, take those that are there already, and close the port.

        gunicorn's own leaves the port open and takes nobody from it until its kept connections have ended, two seconds and
        more. A POST that a proxy sends there meanwhile is reset, and no proxy may send it again; a refused connection it may
        take elsewhere (gunicorn's issue 3397).
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            while select([listener], [], [], 0)[0]:
                self.accept(listener)
            listener.close()
        self.sockets: list[Any] = []

    def accept(self, listener: Any) -> None:
        """Take a connection, unless a process that has fewer takes it meanwhile.

        Without this, one process sometimes takes all connections that a proxy opens at once and keeps: the others, and all but
        one core, have nothing to do from then on.
        """
        time.sleep(min(self.nr_conns * STEP, LONGEST_STEP))
        super().accept(listener)

    def enqueue_req(self, conn: Any) -> None:
        """Take a connection that is new, or on which a next request begins: read it here until the request is complete."""
        if self.cfg.is_ssl:  # only a thread can decrypt it
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.sock = _Client(conn.sock)
        conn.init()
        go_on = self._read(conn)
        if go_on:
            go_on(conn)
            return
        conn.timeout = time.monotonic() + PATIENCE
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._read_more, conn))

    def _read_more(self, conn: Any, sock: Any) -> None:
        go_on = self._read(conn)
        if go_on:
            self.poller.unregister(sock)
            self.pending_conns.remove(conn)
            go_on(conn)

    def _read(self, conn: Any) -> Callable[[Any], None] | None:
        """Read what has come; returns what is to become of the connection, None when there is more to come."""
        unreader = conn.parser.unreader
        news = _news(conn.sock)
        received: bytes = unreader.take_buffered() + (news or b"")
        unreader.unread(received)
        conn.is_whole = is_whole(received)
        if conn.is_whole is not None or (received and news == b""):
            return super().enqueue_req  # type: ignore[no-any-return]
        if news == b"":
            return self._close
        return self._refuse if len(received) > MOST_HEAD and b"\r\n\r\n" not in received[:MOST_HEAD] else None

    def _refuse(self, conn: Any) -> None:
        conn.sock.settimeout(0)  # in the loop, which waits for nobody
        with suppress(OSError):
            util.write_error(conn.sock, 431, "Request Header Fields Too Large", "")
            conn.sock.flush()
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()

    def handle(self, conn: Any) -> Any:
        """Answer a request, in a thread."""
        self._busy[conn] = time.monotonic() + LONGEST
        try:
            return super().handle(conn)
        finally:
            with suppress(OSError):  # gone, or closed already
                self._send_rest(conn)
            del self._busy[conn]

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Tell whether the connection can be used again: not to wait for the rest of what was refused."""
        self._send_rest(conn)  # before a body is awaited that the answer may make superfluous
        return bool(super()._keepalive_after(conn, keepalive and conn.is_whole))

    def _send_rest(self, conn: Any) -> None:
        if isinstance(conn.sock, _Client):
            conn.sock.flush()

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Go on with a connection whose request was answered."""
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        with suppress(OSError):
            conn.sock.shutdown(SHUT_WR)
        conn.timeout = time.monotonic() + FAREWELL
        self._leaving.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._see_off, conn))

    def _see_off(self, conn: Any, sock: Any) -> None:
        if _news(sock) == b"":
            self.poller.unregister(sock)
            self._leaving.remove(conn)
            self._close(conn)

    def murder_pending(self) -> None:
        """Close connections whose request or farewell does not come, and wake threads whose client takes no answer."""
        super().murder_pending()
        now = time.monotonic()
        while self._leaving and now > self._leaving[0].timeout:
            conn = self._leaving.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)
        for conn, deadline in self._busy.copy().items():
            if now > deadline:
                with suppress(OSError):
                    conn.sock.shutdown(SHUT_RDWR)  # whatever the thread waits for, it gets an end of it
