"""What the receiver was told, checked when it came: a signature is good for five minutes only."""

import hashlib
import threading
from dataclasses import dataclass

from standardwebhooks.webhooks import WebhookVerificationError

from tests.servers.receiver import Received, Receiver

# Every so many events the first attempt is refused, so that retries are part of the load.
REFUSE_EVERY = 50


@dataclass(frozen=True)
class Told:
    """One webhook that arrived."""

    id: str
    order_id: int
    sequence: int
    valid: bool
    digest: str


class Recorder:
    """Answers for a receiver, and writes down what it heard."""

    def __init__(self, receiver: Receiver) -> None:
        self.told: list[Told] = []
        self.refused = 0
        self._receiver = receiver
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        receiver.answer = self._answer

    def _answer(self, request: Received) -> int:
        self._receiver.requests.clear()  # it keeps bodies; ten minutes of them are not needed
        try:
            request.verify()
            valid = True
        except WebhookVerificationError:
            valid = False
        body = request.json()
        digest = hashlib.sha256(request.body).hexdigest()
        told = Told(request.id, body["data"]["id"], body["sequence"], valid, digest)
        with self._lock:
            self.told.append(told)
            is_new = told.id not in self._seen
            self._seen.add(told.id)
            if is_new and len(self._seen) % REFUSE_EVERY == 0:
                self.refused += 1
                return 503
        return 200
