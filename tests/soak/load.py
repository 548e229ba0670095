"""Clients that POST orders, each under a reference of its own, and remember every answer."""

import http.client
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import orjson

from tests.threads import Crowd

# Connections; one per four or so orders a second keeps the rate while some of them wait for a dead web.
CLIENTS = 8

# Seconds for one answer.
PATIENCE = 10

# Units of the products: enough for any run; and so few that a short product runs out and is restocked.
PLENTY, SHORT = 10_000_000, 20


@dataclass
class Answers:
    """Every reference that was sent, by what was answered."""

    accepted: dict[str, int] = field(default_factory=dict)  # 201, with the order's id
    refused: set[str] = field(default_factory=set)  # no connection, or told that it was not taken
    unknown: set[str] = field(default_factory=set)  # no answer, or 503: may be stored or not
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def attempted(self) -> int:
        """Return how many were sent."""
        return len(self.accepted) + len(self.refused) + len(self.unknown)


class Load(Crowd):
    """Places orders for one hot product, eight that cross and two short ones until the block ends."""

    def __init__(self, url: str, products: list[int], rate: float, seed: int) -> None:
        super().__init__(*(partial(self._buy, number, random.Random(f"{seed}/{number}")) for number in range(CLIENTS)))
        self.answers = Answers()
        self._address = urlsplit(url)
        self._products = products
        self._pause = CLIENTS / rate
        self._lock = threading.Lock()

    def _buy(self, number: int, chance: random.Random) -> None:
        connection = http.client.HTTPConnection(str(self._address.hostname), self._address.port, timeout=PATIENCE)
        count = 0
        while not self._over.wait(self._pause * chance.uniform(0.5, 1.5)):
            count += 1
            self._post(connection, f"soak-{number}-{count}", wanted(self._products, chance))
        connection.close()

    def _post(self, connection: http.client.HTTPConnection, reference: str, order: dict[int, int]) -> None:
        items = [{"product_id": product, "quantity": units} for product, units in order.items()]
        body = orjson.dumps({"items": items, "reference": reference})
        try:
            if connection.sock is None:
                connection.connect()
        except OSError:
            self._note(reference, self.answers.refused)
            return
        try:
            connection.request("POST", "/api/orders/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next one opens it again
            self._note(reference, self.answers.unknown)
            return
        with self._lock:
            self.answers.statuses[answer.status] += 1
        if answer.status == 201:
            with self._lock:
                self.answers.accepted[reference] = orjson.loads(said)["id"]
        else:
            # 5xx: the database may have gone between the commit and its answer.
            self._note(reference, self.answers.unknown if answer.status >= 500 else self.answers.refused)

    def _note(self, reference: str, where: set[str]) -> None:
        with self._lock:
            where.add(reference)


def wanted(products: list[int], chance: random.Random) -> dict[int, int]:
    """Return a random order; the first product is hot, the last two are short."""
    hot, *crossing = products
    lines = chance.sample(crossing, chance.randint(1, 3)) + ([hot] if chance.random() < 0.5 else [])
    chance.shuffle(lines)
    return {product: chance.randint(1, 3) for product in lines}
