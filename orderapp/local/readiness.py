"""Asks the API whether it can take orders."""

import http.client

# Seconds for an answer from this machine; one that takes longer is asked again.
TIMEOUT = 1

# Addresses that mean every one of this machine.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here


def reachable_host(host: str) -> str:
    """Return an address under which this machine reaches what is bound to the host."""
    return _ANY.get(host, host)


def api_is_ready(host: str, port: int) -> bool:
    """Tell whether GET /health/ready/ answers 200."""
    connection = http.client.HTTPConnection(reachable_host(host), port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/health/ready/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
