"""After the storm: everybody works, nothing fails, and everything must come to rest."""

from functools import partial

from orderapp.outbox.parking import retry_parked
from orderapp.webhooks.replaying import resend
from tests.simulation.people import People
from tests.simulation.processes import Service
from tests.simulation.stage import Stage

# Rounds until everything is final; each goes as far as it can, then time passes until something is due.
MOST_ROUNDS = 80

# Seconds between two beats.
BEAT = 5

_OPEN = """
SELECT (SELECT count(*) FROM orders WHERE status IN ('pending', 'processing'))
    + (SELECT count(*) FROM webhook_deliveries WHERE state = 'pending')
    + (SELECT count(*) FROM outbox WHERE parked_at IS NULL)
"""

# What the next of those that are open waits for.
_NEXT = """
SELECT extract(epoch FROM min(moment)) FROM (
    SELECT greatest(rescue_at, lease_until) FROM orders WHERE status IN ('pending', 'processing')
    UNION ALL SELECT CASE WHEN waiting THEN greatest(due_at, open_until) ELSE greatest(rescue_at, lease_until) END
        FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id WHERE state = 'pending'
    UNION ALL SELECT available_at FROM outbox WHERE parked_at IS NULL) AS next (moment)
"""

_GIVEN_UP = """
SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id AND e.active
WHERE state = 'exhausted' ORDER BY d.id
"""

_PARKED = "SELECT id FROM outbox WHERE parked_at IS NOT NULL ORDER BY id"

_SOONEST, _LATEST = 0.001, 2 * 24 * 3600


def come_to_rest(stage: Stage, service: Service, people: People) -> bool:
    """Let everybody work until nothing is open any more; returns whether that came to be."""
    for asked in people.unanswered():
        people.post(asked)
    for _ in range(MOST_ROUNDS):
        go_on(stage, service)
        if not _operators_help(stage, service) and stage.rows(_OPEN) == [(0,)] and not service.broker.size:
            _come_to_the_end_of_the_day(stage, service)
            return True
        _wait(stage)
        service.beat()
    return False


def _operators_help(stage: Stage, service: Service) -> bool:
    """Send again what was given up, for receivers or for want of a queue; returns whether there was any."""
    given_up = [row[0] for row in stage.rows(_GIVEN_UP)]
    parked = [row[0] for row in stage.rows(_PARKED)]
    for delivery_id in given_up:
        service.attempt(partial(resend, delivery_id, "Alice"))
    if parked:
        service.attempt(partial(retry_parked, parked, "Alice"))
    return bool(given_up or parked)


def go_on(stage: Stage, service: Service) -> None:
    """Let relay, workers and couriers do what there is to do now, each message at most once a round: some wait for locks."""
    for _ in range(MOST_ROUNDS):
        moved = service.relay()
        for _ in range(service.broker.size):
            service.work()
        while stage.couriers.waiting:
            service.send()
        if moved == "0 row(s)":
            return


def _wait(stage: Stage) -> None:
    (moment,) = stage.rows(_NEXT)[0]
    left = float(moment) - stage.clock.now if moment is not None else 0
    stage.clock.advance(min(left, _LATEST) + _SOONEST if left > 0 else BEAT)


def _come_to_the_end_of_the_day(stage: Stage, service: Service) -> None:
    stage.clock.advance(24 * 3600)
    service.summarise()
    while service.broker.size:
        service.work()
