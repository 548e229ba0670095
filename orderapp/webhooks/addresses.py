"""From a host's name to a connection: every address is vetted just before the connection is made to exactly that address.

Resolving once to check and once more to connect would let a name server give two answers. Vetted is what the resolver
says, so that it does not matter how a URL spells an address (decimal, octal, mapped into IPv6, ...).
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv6Address, IPv6Network, ip_address

import structlog
from requests_hardened.ip_filter import InvalidIPAddress, get_ip_address

from .deadline import time_left

log = structlog.get_logger(__name__)

# Seconds to connect to one address: a healthy host needs one at most, even across the world.
CONNECT_TIMEOUT = 5

ALLOW = "allow it by WEBHOOK_ALLOWED_HOSTS"

# Without the address: clients read this, and would map our network by names that lead into it. The log has it.
PRIVATE = f"its address is private; {ALLOW}"

# All that is given out of IPv6. What lies outside is local, old or a way to write IPv4.
GLOBAL_IPV6 = IPv6Network("2000::/3")


class RefusedError(Exception):
    """The endpoint's address is one that no webhook is sent to."""


def connect(host: str, port: int, *, vetted: bool, options: Sequence[tuple[int, int, int | bytes]] = ()) -> socket.socket:
    """Return a socket to the first of the host's addresses that answers, in the resolver's order.

    Raises OSError when none does, RefusedError when ``vetted`` left none to try.
    """
    faults: list[OSError | RefusedError] = []
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            if vetted:
                refuse_private(str(address[0]))
            return _connected(socket.socket(family, kind, protocol), address, options)
        except RefusedError as fault:
            log.info("private address refused", host=host, address=address[0])
            faults.append(fault)
        except OSError as fault:
            faults.append(fault)
    # What happened on the way tells more than what was not even tried.
    raise next((fault for fault in faults if isinstance(fault, OSError)), faults[0])


def _connected(sock: socket.socket, address: object, options: Sequence[tuple[int, int, int | bytes]]) -> socket.socket:
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(max(0.001, min(CONNECT_TIMEOUT, time_left(CONNECT_TIMEOUT))))
        sock.connect(address)  # type: ignore[arg-type] # as getaddrinfo gave it
    except BaseException:
        # The caller sees it; nobody else would close this.
        sock.close()
        raise
    return sock


def refuse_private(address: str) -> None:
    """Raise RefusedError unless the address is one of the public Internet."""
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    if isinstance(parsed, IPv6Address) and mapped is None and parsed not in GLOBAL_IPV6:
        raise RefusedError(PRIVATE)
    public = mapped or parsed
    try:
        get_ip_address(str(public), 0, allow_loopback=False)
    except InvalidIPAddress as fault:
        raise RefusedError(PRIVATE) from fault
    if not public.is_global or public.is_reserved:
        raise RefusedError(PRIVATE)


def refuse_private_literal(host: str) -> None:
    """Raise RefusedError for a host that is itself a private address, however it is spelt. Asks no name server."""
    with suppress(socket.gaierror):
        for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST):
            refuse_private(str(address[0]))
