"""One fixed story with everything in it that an order can go through; each line is one turn of one process or person."""

from collections.abc import Callable

from tests.servers.receiver import SECRET
from tests.simulation.outside import Dice, Outside
from tests.simulation.people import People
from tests.simulation.processes import Service
from tests.simulation.receiver import Receiver
from tests.simulation.stage import URL, Stage

Turn = Callable[[], object]

# Seconds: until a lost message's order or delivery is due for its rescue; until beat sends for summaries again.
RESCUE, NEXT_SUMMARY = 31, 330

A_DAY = 24 * 3600


class Story:
    """Place, relay, settle, notify, cancel, retry, lose and rescue, read, summarise."""

    def __init__(self, stage: Stage) -> None:
        self.outside = Outside()
        self._dice = Dice("story", calm=True)
        self._stage = stage
        stage.begin()
        self.stay()
        self.people.stock(1000, 1000, 2)
        self.outside.secrets[URL] = SECRET

    def stay(self) -> None:
        """Have processes that know nothing of what was before, in the same world outside."""
        products = self.people.products if hasattr(self, "people") else []
        self.service = Service(self._stage, self.outside, self._dice)
        self.people = People(self._stage, self.service, self.outside, self._dice)
        self.people.products = products
        self._stage.couriers.waiting.clear()
        self._stage.receive(Receiver(self.outside, self._dice, self._stage.clock))

    @property
    def turns(self) -> list[Turn]:
        """Return the whole story."""
        ask, service, tick = self.people.ask, self.service, self._stage.clock.advance
        settled = [service.relay, lambda: service.work("orders")]
        told = [service.relay, lambda: service.work("webhooks"), service.send]
        rescued = [lambda: tick(RESCUE), service.beat, lambda: service.work("maintenance"), lambda: service.work("maintenance")]
        summarised = [service.summarise, lambda: service.work("maintenance")]
        return [
            lambda: ask({1: 2, 2: 1}, key=True),
            lambda: ask({3: 5}, key=True),
            lambda: ask({1: 1}, key=False),
            *settled,
            *told,
            lambda: self._about(0, self.people.cancel),
            lambda: self.people.restock(3, 10),
            lambda: self._about(1, self.people.retry),
            *settled,
            *told,
            lambda: ask({2: 1, 3: 1}, key=True),
            service.relay,
            service.broker.lose_everything,
            *rescued,
            *settled,
            service.relay,
            service.broker.lose_everything,
            *rescued,
            *told,
            self.people.read_feed,
            lambda: tick(A_DAY),
            *summarised,
            lambda: self._about(1, self.people.cancel),
            lambda: tick(NEXT_SUMMARY),
            *summarised,
            *told,
        ]

    def _about(self, number: int, act: Callable[[int], str]) -> str:
        order_id = self.outside.asked[number].order_id if number < len(self.outside.asked) else None
        return act(order_id) if order_id else "it has no number yet"
