"""One run by a seed: some dozens of steps in an order drawn by chance, faults at the boundaries they pass, then rest."""

from collections.abc import Callable
from dataclasses import dataclass, field

from orderapp.webhooks.drafts import Draft
from orderapp.webhooks.registering import create_endpoint
from tests.servers.receiver import SECRET
from tests.simulation import checks
from tests.simulation.boundaries import IDLE
from tests.simulation.outside import Dice, Outside
from tests.simulation.people import People
from tests.simulation.processes import Service
from tests.simulation.receiver import Receiver
from tests.simulation.rest import come_to_rest
from tests.simulation.stage import HOST, URL, Stage

FEWEST_STEPS, MOST_STEPS = 12, 36

# How often a passage of a boundary is no mere passage.
FAULTS = {"kill": 0.03, "raise": 0.015, "reset": 0.02, "hang": 0.06}

# A process that hangs inside another's hang: two are enough for every race of two, and one more looks on.
DEEPEST = 2

# Seconds: within a moment; beyond a lease of an order; beyond the idle limit; beyond a lease of a webhook.
PAUSES = (0.1, 16, 31, 46)

# Seconds that pass between steps: mostly a moment, now and then until something is due.
TICKS = (0.01, 0.1, 1, 6, 16, 31, 46, 330)

_ORDERS = "SELECT id FROM orders WHERE status = ANY(%s) ORDER BY id"
_FINISHED = "SELECT id FROM webhook_deliveries WHERE state <> 'pending' ORDER BY id"


@dataclass
class Run:
    """One run: what was done in it, and what was wrong at its end."""

    seed: str
    journal: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def told(self) -> str:
        """Return the whole story of a run that failed."""
        again = f"python -m tests.simulation seeds --first {self.seed} --seeds 1"
        return "\n".join([f"seed {self.seed}:", *self.journal, "WRONG:", *self.faults, f"again: {again}"])


class Storm:
    """Draws steps and faults."""

    def __init__(self, stage: Stage, run: Run) -> None:
        self._stage = stage
        self._run = run
        self._dice = Dice(run.seed)
        self._chance = self._dice.random
        self._outside = Outside()
        self._service = Service(stage, self._outside, self._dice)
        self._people = People(stage, self._service, self._outside, self._dice)
        self._depth = 0
        self._second = 0  # a second endpoint, if there is one

    def blow(self) -> None:
        """Go through the whole run."""
        stage, chance = self._stage, self._chance
        stage.begin()
        self._furnish()
        stage.boundaries.decide, stage.boundaries.hang = self._decide, self._hang
        stage.boundaries.note = self._note
        for _ in range(chance.randint(FEWEST_STEPS, MOST_STEPS)):
            self._step()
        self._dice.calm = True
        self._note("calm")
        if not come_to_rest(stage, self._service, self._people):
            self._run.faults.append("something is stuck: not everything is final")
        self._run.faults += checks.faults(stage, self._outside, self._people)

    def _furnish(self) -> None:
        stage, chance = self._stage, self._chance
        stage.receive(Receiver(self._outside, self._dice, stage.clock))
        self._people.stock(1000, chance.randint(0, 6), chance.randint(0, 6))
        self._outside.secrets[URL] = SECRET
        if chance.random() < 0.4:
            url = f"http://{HOST}/second"
            with stage.app.app_context():
                new = create_endpoint(Draft(url=url), None, frozenset({HOST}), "Alice")
            self._outside.secrets[url] = new.secret
            self._second = new.id

    def _note(self, text: str) -> None:
        self._run.journal.append(f"{'    ' * self._depth}{text}")

    def _decide(self, name: str) -> str:
        if self._dice.calm or name.startswith("monitoring"):
            return ""
        dart = self._chance.random()
        for action, probability in FAULTS.items():
            dart -= probability
            if dart < 0:
                if action == "hang" and self._depth >= DEEPEST:
                    return ""
                self._outside.injected += 1
                return action
        return ""

    def _hang(self, end_session: Callable[[], None]) -> None:
        """Let time pass and others go on while a process hangs."""
        chance = self._chance
        self._depth += 1
        before = self._stage.clock.now
        for pause in chance.sample(PAUSES, chance.randint(1, 2)):
            self._stage.clock.advance(pause)
            if self._stage.clock.now - before > IDLE:
                end_session()
            for _ in range(chance.randint(1, 4)):
                self._step()
        self._depth -= 1

    def _step(self) -> None:
        steps, weights = zip(*self._steps.items(), strict=True)
        step: Callable[[], str] = self._chance.choices(steps, weights)[0]
        place = len(self._run.journal)
        told = step()
        self._run.journal.insert(place, f"{'    ' * self._depth}{step.__name__.strip('_')}: {told}")

    @property
    def _steps(self) -> dict[Callable[[], str], float]:
        return {
            self._place: 4,
            self._people.ask_again: 1,
            self._relay: 5,
            self._service.work: 6,
            self._service.send: 3,
            self._tick: 2.5,
            self._service.beat: 1.5,
            self._cancel: 1,
            self._retry: 0.7,
            self._restock: 0.5,
            self._people.read_feed: 0.5,
            self._service.summarise: 0.3,
            self._reprice: 0.3,
            self._resend: 0.3,
            self._switch: 0.3,
            self._lose: 0.15,
        }

    def _place(self) -> str:
        chance = self._chance
        products = chance.sample(self._people.products, chance.randint(1, len(self._people.products)))
        items = {product: chance.randint(1, 3) for product in products}
        return self._people.ask(items, key=chance.random() < 0.6)

    def _relay(self) -> str:
        return self._service.relay(self._chance.randrange(2))

    def _tick(self) -> str:
        seconds = self._chance.choice(TICKS)
        self._stage.clock.advance(seconds)
        return f"{seconds} s"

    def _cancel(self) -> str:
        order_id = self._one_of(_ORDERS, ["pending", "confirmed"])
        return self._people.cancel(order_id) if order_id else "nothing"

    def _retry(self) -> str:
        order_id = self._one_of(_ORDERS, ["failed"])
        return self._people.retry(order_id) if order_id else "nothing"

    def _restock(self) -> str:
        return self._people.restock(self._chance.choice(self._people.products), 3)

    def _reprice(self) -> str:
        return self._people.reprice(self._chance.choice(self._people.products), self._chance.randint(1, 999))

    def _resend(self) -> str:
        delivery_id = self._one_of(_FINISHED)
        return self._people.resend(delivery_id) if delivery_id else "nothing"

    def _switch(self) -> str:
        return self._people.switch(self._second) if self._second else "there is no second endpoint"

    def _lose(self) -> str:
        self._service.broker.lose_everything()
        return "the broker came back with nothing"

    def _one_of(self, query: str, *values: object) -> int | None:
        ids = [row[0] for row in self._stage.rows(query, *values)]
        return self._chance.choice(ids) if ids else None


def run_seed(stage: Stage, seed: str) -> Run:
    """Run one seed; returns what came of it."""
    run = Run(seed)
    Storm(stage, run).blow()
    return run
