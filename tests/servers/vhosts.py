"""Virtual hosts for tests, on a node of our own or on the broker that TEST_BROKER_URL names."""

import secrets
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

import requests

from tests.servers.rabbitmq import RabbitNode

# Seconds for one request to the management API of a broker that may be on another machine.
API_TIMEOUT = 10

# RabbitMQ's management API listens on this port, unless TEST_BROKER_API_URL says otherwise.
API_PORT = 15672


class VirtualHosts(Protocol):
    """Somewhere to make virtual hosts."""

    def create(self) -> str:
        """Return the URL of a new virtual host."""

    def delete(self, url: str) -> None:
        """Delete one of them with all that is in it."""

    def stop(self) -> None:
        """Delete whatever is left."""


def virtual_hosts(folder: Path, broker_url: str | None, api_url: str | None = None) -> VirtualHosts:
    """Return virtual hosts of the broker at ``broker_url``, or of a node of our own. Raises MissingRabbitMQError."""
    return ForeignVirtualHosts(broker_url, api_url) if broker_url else OwnVirtualHosts(folder)


class OwnVirtualHosts:
    """Virtual hosts of a scratch node."""

    def __init__(self, folder: Path) -> None:
        """Start the node. Raises MissingRabbitMQError."""
        self._node = RabbitNode(folder)
        self._node.start()
        self._numbers = count(1)

    def create(self) -> str:
        """Return the URL of a new virtual host."""
        return self._node.create_vhost(f"test{next(self._numbers)}")

    def delete(self, url: str) -> None:
        """Delete one of them."""
        self._node.delete_vhost(_name(url))

    def stop(self) -> None:
        """End the node; its virtual hosts go with it."""
        self._node.destroy()


class ForeignVirtualHosts:
    """Virtual hosts of our own on somebody's broker, made and deleted through its management API."""

    def __init__(self, broker_url: str, api_url: str | None) -> None:
        """Check that the management API answers: AMQP itself cannot make virtual hosts."""
        self._broker = urlsplit(broker_url)
        self._api = (api_url or f"http://{self._broker.hostname}:{API_PORT}").rstrip("/")
        self._user = unquote(self._broker.username or "guest")
        self._password = unquote(self._broker.password or "guest")
        self._prefix = f"orderapp-test-{secrets.token_hex(5)}"
        self._numbers = count(1)
        self._made: set[str] = set()
        self._request("GET", "overview")

    def create(self) -> str:
        """Return the URL of a new virtual host."""
        name = f"{self._prefix}-{next(self._numbers)}"
        self._request("PUT", f"vhosts/{name}", {})
        self._made.add(name)
        self._request(
            "PUT", f"permissions/{name}/{quote(self._user, safe='')}", dict.fromkeys(("configure", "write", "read"), ".*")
        )
        return self._broker._replace(path=f"/{name}", query="", fragment="").geturl()

    def delete(self, url: str) -> None:
        """Delete one of them."""
        name = _name(url)
        if name in self._made:
            self._request("DELETE", f"vhosts/{name}")
            self._made.discard(name)

    def stop(self) -> None:
        """Delete whatever is left."""
        for name in sorted(self._made):
            self.delete(name)

    def _request(self, method: str, path: str, body: Any = None) -> None:
        address = f"{self._api}/api/{path}"
        try:
            answer = requests.request(method, address, json=body, auth=(self._user, self._password), timeout=API_TIMEOUT)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise RuntimeError(
                f"TEST_BROKER_URL is set, and tests make virtual hosts of their own there through the management API at "
                f"{self._api}, as a user with the tag administrator: {error}. Enable it with "
                "`rabbitmq-plugins enable rabbitmq_management`, or name it in TEST_BROKER_API_URL."
            ) from error


def _name(url: str) -> str:
    return url.rpartition("/")[2]
