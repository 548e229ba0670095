"""The doctor's own client: RabbitMQ's management API, which tells what AMQP does not."""

from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from config_kinds import nodes

# Where the plugin listens unless it is told otherwise, without TLS and with it.
PORT, TLS_PORT = 15672, 15671

# Seconds to connect and to answer: where there is no such port, many firewalls are silent.
TIMEOUT = (2, 5)


class NoManagementError(Exception):
    """The API does not tell us anything; ``refused``: it is there, and this user may not ask."""

    def __init__(self, words: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(words)


class Management:
    """Asks as the user of the broker's URL, its first node if they are several; the doctor only reads."""

    def __init__(self, broker_url: str, url: str | None = None) -> None:
        broker = urlsplit(nodes(broker_url)[0])
        scheme, port = ("https", TLS_PORT) if broker.scheme == "amqps" else ("http", PORT)
        host = f"[{broker.hostname}]" if ":" in (broker.hostname or "") else broker.hostname
        self.url = (url or f"{scheme}://{host}:{port}").rstrip("/")
        self._virtual_host = unquote(broker.path[1:]) or "/"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no .netrc: the broker's password goes to the broker
        self._session.auth = (unquote(broker.username or "guest"), unquote(broker.password or "guest"))

    def queues(self) -> list[dict[str, Any]]:
        """Return the queues of our virtual host. Raises NoManagementError."""
        return self.get(f"queues/{quote(self._virtual_host, safe='')}")

    def get(self, path: str) -> list[dict[str, Any]]:
        """Return what the API lists there. Raises NoManagementError."""
        try:
            answer = self._session.get(f"{self.url}/api/{path}", timeout=TIMEOUT, allow_redirects=False)
            if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
                raise NoManagementError(f"{self.url} does not let this user ask ({answer.status_code})", refused=True)
            answer.raise_for_status()
            found = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise NoManagementError(f"no answer at {self.url}") from error
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise NoManagementError(f"something else answers at {self.url}")
        return found

    def change(self, method: str, path: str, body: Any = None) -> None:
        """Have the API make or delete what is there: a drill's virtual host. Raises NoManagementError."""
        try:
            answer = self._session.request(
                method, f"{self.url}/api/{path}", json=body or {}, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise NoManagementError(f"no answer at {self.url}") from error
        if not answer.ok:
            raise NoManagementError(f"{self.url} refuses to {method} {path} ({answer.status_code})", refused=True)
