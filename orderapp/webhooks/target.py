"""The way out: a vetted address, no redirects, no proxies, and an end to every answer.

A receiver can name an address inside our network, redirect there, or answer one byte a minute. Hosts in
WEBHOOK_ALLOWED_HOSTS are trusted with the first; nobody with the other two.
"""

import os
import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from http import HTTPStatus
from time import monotonic
from typing import Any

from certifi import where
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.exceptions import TimeoutError as UrllibTimeoutError
from urllib3.util import Url, parse_url

from orderapp import failpoints

from .addresses import ALLOW, RefusedError, connect, refuse_private_literal
from .deadline import Deadline, watch
from .endpoint import Answer, Endpoint, printable

# Seconds for one POST, all in all. Receivers are told to answer first and work later; half of the task's 30 s.
TOTAL_TIMEOUT = 15

# Seconds to shake hands and to send, each: a healthy host needs one at most, even across the world.
CONNECT_TIMEOUT = 5

# Bytes of the answer that are read: enough for an error message, and a small answer keeps its connection open.
ANSWER_LIMIT = 1024

# Characters of a fault that are kept: a line or two on a terminal.
ERROR_LIMIT = 300

# Whose failpoints these are.
ACT = "webhooks.sending:send"

# Answers that may say when to come back.
BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}

# Digits of a Retry-After that are read: beyond 30 years lies no sensible pause, and an integer too large for a timedelta.
MOST_DIGITS = 9

# Hosts, and connections of each, that are kept open: as many as a process has threads that send.
MOST_KEPT = 32

# URLs whose parts are remembered: far more than a process sends to at a time.
MOST_PARSED = 1000


def post(endpoint: Endpoint, body: bytes, headers: dict[str, str], timeout: float = TOTAL_TIMEOUT) -> Answer:
    """Send the body and return what came of it within ``timeout`` seconds; no fault of the receiver raises.

    Looking up the host's name is the one step that cannot be cut short; the resolver's own limits end that.
    """
    started_at, begin = datetime.now(UTC), monotonic()
    answer = Answer(started_at, 0, None, None)
    with Deadline(timeout) as deadline:
        try:
            answer = _exchange(endpoint, body, headers, timeout, deadline)
        except (RefusedError, HTTPError, OSError, ValueError) as fault:
            error = f"no answer within {timeout:g} s" if _is_timeout(fault, deadline) else _words(fault)
            answer = replace(answer, error=_storable(error))
    return replace(answer, started_at=started_at, duration_ms=round((monotonic() - begin) * 1000))


def _exchange(endpoint: Endpoint, body: bytes, headers: dict[str, str], timeout: float, deadline: Deadline) -> Answer:
    pool = _pool_to(endpoint.url, endpoint.allowed_hosts)
    failpoints.passing(ACT, "before_post")
    with pool.urlopen(
        "POST",
        _parsed(endpoint.url).request_uri,
        body,
        headers,
        retries=False,
        redirect=False,
        timeout=Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout),
        preload_content=False,
    ) as response:
        failpoints.passing(ACT, "posted")
        if deadline.is_over:  # a cut inside the headers looks like their end
            raise TimeoutError
        status, text = response.status, printable(_read(response))
        answer = Answer(datetime.now(UTC), 0, status, None, text)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        said = "redirects are not followed" if response.get_redirect_location() else text
        pause = _pause(response.headers.get("Retry-After", "")) if status in BUSY else None
        return replace(answer, error=_storable(f"answered {status}: {said}".rstrip(": ")), retry_after=pause)


def fault_on_the_way(url: str, allowed_hosts: frozenset[str]) -> str | None:
    """Return what keeps a webhook from its receiver, or None: connects as ``post()`` does, with TLS, and says nothing."""
    try:
        _pool_to(url, allowed_hosts).try_to_connect(CONNECT_TIMEOUT)
    except (RefusedError, HTTPError, OSError, ValueError) as fault:
        return _storable(_words(fault))
    return None


def _pool_to(url: str, allowed_hosts: frozenset[str]) -> Any:
    connections = _connections(os.getpid(), vetted=not is_trusted(url, allowed_hosts))
    parts = _parsed(url)
    return connections.connection_from_host(parts.host, parts.port, parts.scheme)


def refuse_bad_url(url: str, allowed_hosts: frozenset[str]) -> None:
    """Raise RefusedError for a URL to which no webhook would be sent. Asks no name server: what it says may change."""
    if not is_trusted(url, allowed_hosts):
        refuse_private_literal((_parsed(url).host or "").strip("[]"))


def is_trusted(url: str, allowed_hosts: frozenset[str]) -> bool:
    """Tell whether the host may be private. Raises RefusedError for a URL that nothing is sent to, wherever it leads."""
    parts = _parsed(url)
    host = (parts.host or "").lower()
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme or "")
    if not host or parts.scheme not in {"http", "https"}:
        raise RefusedError("not a URL of http or https")
    if parts.auth is not None:
        raise RefusedError("it carries a user name or password; webhooks are signed instead")
    if {host, f"{host}:{port}", host.strip("[]")} & allowed_hosts:
        return True
    if parts.scheme != "https":
        raise RefusedError(f"{host} is not reached by https; use https or {ALLOW}")
    return False


@lru_cache(MOST_PARSED)
def _parsed(url: str) -> Url:
    """Return the parts of a URL, host and all: what is judged is what is connected to; two parsers could see two hosts."""
    try:
        return parse_url(url)
    except LocationParseError as error:
        raise RefusedError(f"not a URL: {error}") from error


def _pause(retry_after: str) -> timedelta | None:
    """Return how long the receiver asks to be left alone: so many seconds, or until a date."""
    words = retry_after.strip()
    if words.isascii() and words.isdecimal():
        return timedelta(seconds=int(words[:MOST_DIGITS]))
    try:
        return max(parsedate_to_datetime(words) - datetime.now(UTC), timedelta())
    except (ValueError, TypeError):  # no date, or one without a zone
        return None


@cache
def _connections(_process: int, *, vetted: bool) -> PoolManager:
    """Return this process's open connections; one copied by a fork would mix two processes' answers.

    No proxy, cookie, .netrc or certificate bundle of the environment has a say here.
    """
    tls = ssl.create_default_context(cafile=where())
    connections = PoolManager(MOST_KEPT, maxsize=MOST_KEPT, ssl_context=tls)
    connections.pool_classes_by_scheme = VETTED if vetted else TRUSTED
    return connections


class _Watched:
    """A connection to an address that was vetted and that, once its request is sent, comes under the deadline."""

    vetted = True
    sock: Any
    host: Any
    port: Any
    socket_options: Any
    _held: list[bytes] | None = None

    def __str__(self) -> str:
        """Say where it leads: urllib3 begins its faults with this, and whoever reads them knows no class of ours."""
        return f"{self.host}:{self.port}"

    def _new_conn(self) -> socket.socket:
        about: Any = self
        try:
            return connect(self.host, self.port, vetted=self.vetted, options=self.socket_options or ())
        except socket.gaierror as fault:
            raise NameResolutionError(self.host, about, fault) from fault
        except TimeoutError as fault:
            raise ConnectTimeoutError(about, f"no connection: {fault}") from fault
        except OSError as fault:
            raise NewConnectionError(about, f"no connection: {fault}") from fault

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._held = []
        super().request(*args, **kwargs)  # type: ignore[misc]
        whole, self._held = b"".join(self._held), None
        self.send(whole)
        watch(self.sock)

    def send(self, data: Any) -> None:
        """Hold headers and body back until both are there: in two packets they cost sender and receiver twice the work."""
        if self._held is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._held.append(data)


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _TrustedConnection(_Connection):
    vetted = False


class _TrustedSecureConnection(_SecureConnection):
    vetted = False


class _Tried:
    """A pool that can be asked whether it reaches its host."""

    _new_conn: Any

    def try_to_connect(self, seconds: float) -> None:
        """Open a connection of its own and close it. Raises what ``_new_conn`` and TLS raise."""
        connection = self._new_conn()
        connection.timeout = seconds
        try:
            connection.connect()
        finally:
            connection.close()


class _Pool(_Tried, HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(_Tried, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _TrustedPool(_Tried, HTTPConnectionPool):
    ConnectionCls = _TrustedConnection


class _TrustedSecurePool(_Tried, HTTPSConnectionPool):
    ConnectionCls = _TrustedSecureConnection


VETTED = {"http": _Pool, "https": _SecurePool}
TRUSTED = {"http": _TrustedPool, "https": _TrustedSecurePool}


def _read(response: BaseHTTPResponse) -> str:
    """Return the beginning of the answer's body. The status has decided already, so that a broken body is an empty one."""
    try:
        raw = response.read(ANSWER_LIMIT, decode_content=False)
    except (HTTPError, OSError, ValueError):
        return ""
    return raw.decode(errors="replace")


def _is_timeout(fault: Exception, deadline: Deadline) -> bool:
    # A connection that was refused is also a timeout to urllib3.
    timed_out = isinstance(fault, (TimeoutError, UrllibTimeoutError)) and not isinstance(fault, NewConnectionError)
    return deadline.is_over or timed_out


def _words(fault: Exception) -> str:
    """Word a fault. None tells the URL, whose path or query may be a secret, as one of a retry would."""
    # urllib3 wraps what another library raised: as text, the two would be a tuple with the name of a class.
    words = " ".join(map(str, fault.args)) if isinstance(fault, HTTPError) else str(fault)
    return words or "it failed without a word"


def _storable(error: str) -> str:
    # A stranger's words: PostgreSQL refuses a NUL, and an operator's terminal would obey an escape sequence.
    return printable(error).rstrip()[:ERROR_LIMIT]
