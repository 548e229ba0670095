"""The way out: a vetted address, no redirects, no proxies, and an end to every answer.

A receiver can name an address inside our network, redirect there, or answer one byte a minute. Hosts in
WEBHOOK_ALLOWED_HOSTS are trusted with the first; nobody with the other two.
"""

import os
from datetime import UTC, datetime
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests_hardened import Config, Manager
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import parse_url

from orderapp import failpoints

from .deadline import Deadline, watch
from .endpoint import Answer, Endpoint, printable

# Seconds for one POST, all in all. Receivers are told to answer first and work later; half of the task's 30 s.
TOTAL_TIMEOUT = 15

# Seconds to connect, to shake hands and to send, each: a healthy host needs one at most, even across the world.
CONNECT_TIMEOUT = 5

# Bytes of the answer that are read: enough for an error message, and a small answer keeps its connection open.
ANSWER_LIMIT = 1024

# Characters of a fault that are kept: a line or two on a terminal.
ERROR_LIMIT = 300

# Whose failpoints these are.
ACT = "webhooks.sending:send"

ALLOW = "allow it by WEBHOOK_ALLOWED_HOSTS"


class RefusedError(Exception):
    """The endpoint's address is one that no webhook is sent to."""


def post(endpoint: Endpoint, body: bytes, headers: dict[str, str], timeout: float = TOTAL_TIMEOUT) -> Answer:
    """Send the body and return what came of it within ``timeout`` seconds; no fault of the receiver raises.

    Looking up the host's name is the one step that cannot be cut short; the task's time limit ends that.
    """
    started_at, begin = datetime.now(UTC), monotonic()
    status, error = None, None
    with Deadline(timeout) as deadline:
        try:
            status, error = _exchange(endpoint, body, headers, timeout, deadline)
        except (RefusedError, requests.RequestException, HTTPError, OSError, ValueError) as fault:
            error = f"no answer within {timeout:g} s" if _is_timeout(fault, deadline) else _words(fault)
    return Answer(started_at, round((monotonic() - begin) * 1000), status, _storable(error))


def _exchange(
    endpoint: Endpoint, body: bytes, headers: dict[str, str], timeout: float, deadline: Deadline
) -> tuple[int, str | None]:
    session = _session(os.getpid(), hardened=not _is_allowed(endpoint))
    limits = (min(CONNECT_TIMEOUT, timeout), timeout)
    failpoints.passing(ACT, "before_post")
    with session.post(endpoint.url, data=body, headers=headers, timeout=limits, allow_redirects=False, stream=True) as response:
        failpoints.passing(ACT, "posted")
        if deadline.is_over:  # a cut inside the headers looks like their end
            raise requests.Timeout
        text = _read(response)
        if requests.codes.ok <= response.status_code < requests.codes.multiple_choices:
            return response.status_code, None
        said = "redirects are not followed" if response.is_redirect else text
        return response.status_code, f"answered {response.status_code}: {said}".rstrip(": ")


def _is_allowed(endpoint: Endpoint) -> bool:
    """Tell whether the host is trusted. Raises RefusedError for plain http to one that is not."""
    try:
        url = parse_url(endpoint.url)  # what requests itself parses with: two parsers could see two hosts
    except LocationParseError as error:
        raise RefusedError(f"not a URL: {error}") from error
    host = (url.host or "").lower()
    port = url.port or {"http": 80, "https": 443}.get(url.scheme or "")
    if {host, f"{host}:{port}", host.strip("[]")} & endpoint.allowed_hosts:
        return True
    if url.scheme != "https":
        raise RefusedError(f"{host} is not reached by https; use https or {ALLOW}")
    return False


@cache
def _session(_process: int, *, hardened: bool) -> requests.Session:
    """Return this process's session, which keeps connections open; one copied by a fork would mix two processes' answers."""
    config = Config(ip_filter_enable=True, ip_filter_allow_loopback_ips=False, never_redirect=True, default_timeout=None)
    session: requests.Session = Manager(config).get_session() if hardened else requests.Session()
    session.trust_env = False  # no proxy, .netrc or certificate bundle from the environment
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            adapter.poolmanager.pool_classes_by_scheme = POOLS
    return session


class _Watched:
    """A connection that, once its request is sent, comes under the deadline. Connecting and sending have their own limits."""

    sock: Any

    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)  # type: ignore[misc]
        watch(self.sock)


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}


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
    if isinstance(fault, InvalidIPAddress):
        return f"the address {fault} is private; {ALLOW}"
    reason = getattr(fault.args[0], "reason", fault) if fault.args else fault
    return f"{reason}" or type(reason).__name__


def _storable(error: str | None) -> str | None:
    # A stranger's words: PostgreSQL refuses a NUL, and an operator's terminal would obey an escape sequence.
    return None if error is None else printable(error)[:ERROR_LIMIT]
