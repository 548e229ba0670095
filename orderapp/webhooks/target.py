"""The way out: a vetted address, no redirects, no proxies, and an end to every answer.

A receiver can name an address inside our network, redirect there, or answer one byte a minute. Hosts in
WEBHOOK_ALLOWED_HOSTS are trusted with the first; nobody with the other two.
"""

import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NameResolutionError, NewConnectionError
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
BUSY = {requests.codes.too_many_requests, requests.codes.service_unavailable}

# Digits of a Retry-After that are read: beyond 30 years lies no sensible pause, and an integer too large for a timedelta.
MOST_DIGITS = 9


def post(endpoint: Endpoint, body: bytes, headers: dict[str, str], timeout: float = TOTAL_TIMEOUT) -> Answer:
    """Send the body and return what came of it within ``timeout`` seconds; no fault of the receiver raises.

    Looking up the host's name is the one step that cannot be cut short; the resolver's own limits end that.
    """
    started_at, begin = datetime.now(UTC), monotonic()
    answer = Answer(started_at, 0, None, None)
    with Deadline(timeout) as deadline:
        try:
            answer = _exchange(endpoint, body, headers, timeout, deadline)
        except (RefusedError, requests.RequestException, HTTPError, OSError, ValueError) as fault:
            error = f"no answer within {timeout:g} s" if _is_timeout(fault, deadline) else _words(fault)
            answer = replace(answer, error=_storable(error))
    return replace(answer, started_at=started_at, duration_ms=round((monotonic() - begin) * 1000))


def _exchange(endpoint: Endpoint, body: bytes, headers: dict[str, str], timeout: float, deadline: Deadline) -> Answer:
    session = _session(os.getpid(), vetted=not is_trusted(endpoint.url, endpoint.allowed_hosts))
    limits = (min(CONNECT_TIMEOUT, timeout), timeout)
    failpoints.passing(ACT, "before_post")
    with session.post(endpoint.url, data=body, headers=headers, timeout=limits, allow_redirects=False, stream=True) as response:
        failpoints.passing(ACT, "posted")
        if deadline.is_over:  # a cut inside the headers looks like their end
            raise requests.Timeout
        status, text = response.status_code, printable(_read(response))
        answer = Answer(datetime.now(UTC), 0, status, None, text)
        if requests.codes.ok <= status < requests.codes.multiple_choices:
            return answer
        said = "redirects are not followed" if response.is_redirect else text
        pause = _pause(response.headers.get("Retry-After", "")) if status in BUSY else None
        return replace(answer, error=_storable(f"answered {status}: {said}".rstrip(": ")), retry_after=pause)


def fault_on_the_way(url: str, allowed_hosts: frozenset[str]) -> str | None:
    """Return what keeps a webhook from its receiver, or None: connects as ``post()`` does, with TLS, and says nothing."""
    try:
        session = _session(os.getpid(), vetted=not is_trusted(url, allowed_hosts))
        adapter: Any = session.get_adapter(url)
        pool = adapter.get_connection_with_tls_context(requests.Request("POST", url).prepare(), session.verify)
        pool.try_to_connect(CONNECT_TIMEOUT)
    except (RefusedError, requests.RequestException, HTTPError, OSError, ValueError) as fault:
        return _storable(_words(fault))
    return None


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


def _parsed(url: str) -> Url:
    try:
        return parse_url(url)  # what requests itself parses with: two parsers could see two hosts
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
def _session(_process: int, *, vetted: bool) -> requests.Session:
    """Return this process's session, which keeps connections open; one copied by a fork would mix two processes' answers."""
    session = requests.Session()
    session.trust_env = False  # no proxy, .netrc or certificate bundle from the environment
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.pool_classes_by_scheme = VETTED if vetted else TRUSTED
    return session


class _Watched:
    """A connection to an address that was vetted and that, once its request is sent, comes under the deadline."""

    vetted = True
    sock: Any
    host: Any
    port: Any
    socket_options: Any

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
        super().request(*args, **kwargs)  # type: ignore[misc]
        watch(self.sock)


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


def _read(response: requests.Response) -> str:
    """Return the beginning of the answer's body. The status has decided already, so that a broken body is an empty one."""
    try:
        raw: bytes = response.raw.read(ANSWER_LIMIT, decode_content=False)
    except (HTTPError, OSError, ValueError):
        return ""
    return raw.decode(errors="replace")


def _is_timeout(fault: Exception, deadline: Deadline) -> bool:
    return deadline.is_over or isinstance(fault, requests.Timeout)


def _words(fault: Exception) -> str:
    """Word a fault without the URL, whose path or query may be a secret."""
    reason = getattr(fault.args[0], "reason", fault) if fault.args else fault
    return f"{reason}" or type(reason).__name__


def _storable(error: str) -> str:
    # A stranger's words: PostgreSQL refuses a NUL, and an operator's terminal would obey an escape sequence.
    return printable(error)[:ERROR_LIMIT]
