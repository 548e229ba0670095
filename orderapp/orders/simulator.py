"""Plays clients of our own API: several connections that POST orders at a rate."""

import http.client
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson

from orderapp.errors import OrderAppError

# Seconds for one answer: far above any that is well, and a run against a hanging server ends.
TIMEOUT = 10

# Characters of an answer that is shown to a person: a problem's detail fits, an HTML page does not.
SHOWN = 300

_FAULTS = (OSError, http.client.HTTPException)


class ApiError(OrderAppError):
    """The API is not there, or refuses the simulation's orders; trying again helps only after a change."""


class Clients:
    """What has been posted so far; read by one thread while others post."""

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ApiError(f"{url!r} is no http address")
        self.url = parts.geturl().rstrip("/")
        self.accepted: list[int] = []
        self.unanswered = 0
        self._parts = parts
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._refusal: ApiError | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def posted(self) -> int:
        """Return how many orders were sent, whatever became of them."""
        return len(self.accepted) + self.unanswered

    @property
    def refused(self) -> bool:
        """Tell whether an order was refused, after which none is sent."""
        return self._refusal is not None

    def reach(self) -> None:
        """Return when the API says that it can take orders. Raises ApiError."""
        connection = self._connection()
        try:
            connection.request("GET", "/health/ready/")
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")[:SHOWN]
        except _FAULTS as error:
            raise ApiError(f"No API answers at {self.url} ({error}): start it, or name it with --url.") from error
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise ApiError(f"The API at {self.url} is not ready ({answer.status}): {said}")

    @contextmanager
    def posting(self, orders: Iterable[Mapping[int, int]], rate: float, connections: int) -> Iterator["Clients"]:
        """Post the orders in the background while the block runs, ``rate`` a second; after it, nobody posts."""
        queue = enumerate(orders)
        began = time.monotonic()
        self._over.clear()
        with ThreadPoolExecutor(connections) as pool:
            workers = [pool.submit(self._post_from, queue, began, rate) for _ in range(connections)]
            try:
                yield self
            finally:
                self._over.set()
        for worker in workers:
            worker.result()

    def raise_refusal(self) -> None:
        """Raise the ApiError that ended the posting, if one did."""
        if self._refusal is not None:
            raise self._refusal

    def _post_from(self, queue: Iterator[tuple[int, Mapping[int, int]]], began: float, rate: float) -> None:
        connection = self._connection()
        try:
            while (order := self._next(queue)) is not None:
                number, wanted = order
                # Every order has its own moment: one that was answered late delays none that is another connection's.
                if self._over.wait(max(0.0, began + number / rate - time.monotonic())):
                    return
                self._post(connection, wanted)
        finally:
            connection.close()

    def _next(self, queue: Iterator[tuple[int, Mapping[int, int]]]) -> tuple[int, Mapping[int, int]] | None:
        with self._lock:
            return None if self._refusal else next(queue, None)

    def _post(self, connection: http.client.HTTPConnection, wanted: Mapping[int, int]) -> None:
        items = [{"product_id": product_id, "quantity": units} for product_id, units in wanted.items()]
        try:
            connection.request("POST", "/api/orders/", orjson.dumps({"items": items}), self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except _FAULTS:
            connection.close()  # the next request opens it again
            self._note(None)
            return
        if answer.status == HTTPStatus.CREATED:
            self._note(orjson.loads(body)["id"])
        elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._note(None)
        else:
            said = body.decode(errors="replace")[:SHOWN]
            self._refusal = ApiError(f"The API at {self.url} refused an order ({answer.status}): {said}")

    def _note(self, order_id: int | None) -> None:
        with self._lock:
            if order_id is None:
                self.unanswered += 1
            else:
                self.accepted.append(order_id)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(str(self._parts.hostname), self._parts.port, timeout=TIMEOUT)
