"""The threads that send webhooks, as steps: what a task hands to them waits until it is their turn."""

from collections.abc import Callable

from flask import Flask

Sending = Callable[[], int]


class Couriers:
    """Stands where the product's couriers are."""

    def __init__(self) -> None:
        self.waiting: list[Sending] = []
        self.room = True

    def has_room(self) -> bool:
        """Tell whether a thread is free."""
        return self.room

    def start(self, _app: Flask, sending: Sending) -> int:
        """Keep it for later, as a thread that has not had its turn."""
        self.waiting.append(sending)
        return 0
