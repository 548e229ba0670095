"""``flask outbox relay``, except that it ends by SIGKILL at a chosen point of its first window.

Run as ``python -m tests.outbox.doomed_relay POINT``; the product itself has no such hook.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from flask.cli import main

from orderapp.outbox.broker import AmqpPublisher
from orderapp.outbox.receipts import Message

# after the claim - after all bytes were sent - after every confirm, before the rows are deleted
POINTS = ("claimed", "sent", "confirmed")


def die(*_: Any) -> None:
    """End as a power cut would: no finally, no farewell."""
    os.kill(os.getpid(), signal.SIGKILL)


def doom(point: str) -> None:
    """Arrange the end."""
    publish, send = AmqpPublisher.publish, AmqpPublisher._send

    def claimed(*_: Any) -> None:
        die()

    def sent(self: AmqpPublisher, connection: Any, messages: Sequence[Message], deadline: float) -> None:
        send(self, connection, messages, deadline)
        die()

    def confirmed(self: AmqpPublisher, messages: Sequence[Message], deadline: float) -> None:
        assert len(publish(self, messages, deadline).acked) == len(messages)
        die()

    name, method = {
        "claimed": ("publish", claimed),
        "sent": ("_send", sent),
        "confirmed": ("publish", confirmed),
    }[point]
    setattr(AmqpPublisher, name, method)


if __name__ == "__main__":
    doom(sys.argv[1])
    sys.argv = ["flask", "outbox", "relay"]
    main()
