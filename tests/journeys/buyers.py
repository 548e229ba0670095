"""Clients that order under a key each, and send it again under that key until it is taken."""

import time
from collections import Counter
from uuid import uuid4

import requests

from tests.servers.waiting import wait_until
from tests.threads import Crowd

# Clients, and seconds between two orders of one: some ten orders a second, so that most of each second is between two orders.
CLIENTS, PAUSE = 4, 0.4

# Seconds between two attempts, and after which a client gives an order up.
AGAIN, PATIENCE = 0.2, 30


class Buyers(Crowd):
    """They order, and look at what they ordered, while the block runs."""

    def __init__(self, url: str, product: int) -> None:
        """Order one unit of this product each time."""
        super().__init__(*[self._run] * CLIENTS)
        self.taken: dict[str, int] = {}
        self.failed: list[str] = []
        self.again: Counter[str] = Counter()  # why a client had to send something again
        self._url = f"{url}/api/orders/"
        self._product = product

    def go_on(self, count: int = 20) -> None:
        """Return when so many more orders were taken."""
        goal = len(self.taken) + count
        wait_until(lambda: len(self.taken) >= goal, 2 * PATIENCE, "more orders")

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._over.wait(PAUSE):
                key = str(uuid4())
                order = {"items": [{"product_id": self._product, "quantity": 1}], "reference": key}
                answer = self._insist(session, "POST", self._url, 201, json=order, headers={"Idempotency-Key": key})
                if answer is None or self._insist(session, "GET", f"{self._url}{answer.json()['id']}/", 200) is None:
                    self.failed.append(key)
                else:
                    self.taken[key] = answer.json()["id"]

    def _insist(
        self, session: requests.Session, method: str, url: str, wanted: int, **request: object
    ) -> requests.Response | None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                answer = session.request(method, url, timeout=PATIENCE, **request)  # type: ignore[arg-type]
            except requests.RequestException as error:
                self.again[f"{method} {type(error).__name__}"] += 1
            else:
                if answer.status_code == wanted:
                    return answer
                self.again[f"{method} {answer.status_code}"] += 1
            time.sleep(AGAIN)
        return None
