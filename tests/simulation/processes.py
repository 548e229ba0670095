"""The processes of the service; each step is what one of them does in one turn, by the product's own code."""

from collections.abc import Callable
from contextvars import Context
from uuid import UUID

from celery.exceptions import Reject
from sqlalchemy.exc import SQLAlchemyError

from orderapp import failpoints
from orderapp.database import is_outage
from orderapp.errors import OrderAppError
from orderapp.failpoints import FailpointError
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.relaying import Relay
from orderapp.queues import ORDERS_RESCUE, QUEUE_NAMES, REPORTS_SUMMARISE, TASKS, WEBHOOKS_RESCUE
from tests.simulation.boundaries import Killed
from tests.simulation.broker import Broker
from tests.simulation.outside import Carried, Dice, Outside
from tests.simulation.stage import Stage

RELAYS = 2

# Of the webhook worker's turns: all its threads wait for receivers.
NO_THREAD = 0.03

LOCK_NOT_AVAILABLE = "55P03"

_LEFT = "SELECT count(*) FROM outbox WHERE id = ANY(%s)"


class Service:
    """Relays, workers with their couriers, beat."""

    def __init__(self, stage: Stage, outside: Outside, dice: Dice) -> None:
        self._stage = stage
        self._outside = outside
        self._dice = dice
        self.broker = Broker(outside, dice, stage.clock)
        self._relays = [self._new_relay() for _ in range(RELAYS)]
        self._beats = 0

    def _new_relay(self) -> Relay:
        return Relay(self.broker, Envelopes(self._stage.celery))

    def attempt(self, turn: Callable[[], object], *, inside: bool = True) -> str:
        """Let a process take its turn, alone in its world; returns how that ended: "" when it came to its end."""

        def go() -> None:
            if inside:
                with self._stage.app.app_context():
                    turn()
            else:
                turn()

        try:
            Context().run(go)
        except Killed:
            return "killed"
        except FailpointError:
            return "failed"
        except OrderAppError as error:
            return f"refused: {error}"
        except SQLAlchemyError as error:
            if not is_outage(error):
                raise
            return f"outage {getattr(error.orig, 'pgcode', None)}" if hasattr(error, "orig") else "outage"
        return ""

    def relay(self, number: int = 0) -> str:
        """Let a relay look once."""
        moved: list[int] = []
        end = self.attempt(lambda: moved.append(self._relays[number].relay_once()))
        if end == "killed":
            self._relays[number] = self._new_relay()
        if LOCK_NOT_AVAILABLE in end:
            self._outside.faults.append("a relay waited for what another process holds")
        self._look_for_lost_rows()
        return end or f"{moved[0]} row(s)"

    def _look_for_lost_rows(self) -> None:
        ids = sorted(self._outside.published - self._outside.confirmed)
        if ids and self._stage.rows(_LEFT, ids) != [(len(ids),)]:
            self._outside.faults.append("a row left the outbox although its message was not confirmed")
            self._outside.published.clear()  # said once

    def work(self, *queues: str) -> str:
        """Let a worker take one message, do it, and acknowledge it or give it back."""
        carried = self.broker.take(queues or QUEUE_NAMES)
        if carried is None:
            return "nothing to do"
        self._stage.couriers.room = not self._dice.bad(NO_THREAD)
        back: list[Carried] = []
        end = self.attempt(lambda: self._do(carried, back), inside=False)
        if end:  # its process died, or the broker lost sight of it
            back = [carried]
            if carried.queue == "webhooks" and end == "killed":
                self._stage.couriers.waiting.clear()  # threads of that process
        self._outside.queues[carried.queue] += back
        return f"{carried.task} {carried.args}: {end or ('given back' if back else 'done')}"

    def _do(self, carried: Carried, back: list[Carried]) -> None:
        task = self._stage.celery.tasks[carried.task]
        task.push_request(id=carried.id)
        try:
            task(*carried.args)
        except Reject as rejection:
            if rejection.requeue:
                back.append(carried)
            return  # else a dead letter
        finally:
            task.pop_request()
        try:
            failpoints.passing(carried.task, "before_ack")
        except (FailpointError, ConnectionResetError):
            back.append(carried)

    def send(self) -> str:
        """Let a courier send what its task has claimed."""
        waiting = self._stage.couriers.waiting
        if not waiting:
            return "nothing to send"
        sending = waiting.pop(0 if self._dice.calm else self._dice.random.randrange(len(waiting)))
        end = self.attempt(sending)
        if end == "killed":
            waiting.clear()
        return end or "sent"

    def beat(self, *tasks: str) -> str:
        """Let beat send what is due by the clock."""
        for task in tasks or (ORDERS_RESCUE, WEBHOOKS_RESCUE):
            self._beats += 1
            self.broker.put(Carried(str(UUID(int=self._beats)), task, TASKS[task].queue, []))
        return ""

    def summarise(self) -> str:
        """Let beat send for the summaries of days."""
        return self.beat(REPORTS_SUMMARISE)
