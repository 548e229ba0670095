"""Every alert fires because of what it warns of, and ends by what the runbook says: a real Prometheus is asked.

Processes and servers are really ended, messages really lost. Only time is moved, in the database, where it would take minutes.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

import click
import psycopg2
import requests

from tests.servers.processes import Process
from tests.servers.waiting import free_port, wait_until
from tests.soak.load import PLENTY
from tests.soak.prometheus import Alert, Prometheus, known
from tests.soak.shop import WEBHOOKS_AT_ONCE, Shop, a_shop

# Seconds of a POST that waits for a lock: above the quarter that is allowed, below the role's lock_timeout.
SLOW = 0.6

# Connections that a stranger opens, of the 297 that anybody may have.
STRANGERS = 245

# Receivers' failures in a row that open the breaker, and one more order for the half that has been answered.
ENOUGH_TO_REST = 11

# Seconds in which a command ends, or an order is settled and told.
SOON = 60

Meanwhile = Callable[[], object]


def nothing() -> None:
    """Do nothing while an alert is waited for."""


class Scene:
    """The shop with processes that show their metrics, and a Prometheus that asks them."""

    def __init__(self, shop: Shop) -> None:
        """Start everything."""
        self.shop, self.world = shop, shop.world
        self.world.receiver.answer = None  # the recorder's, which would answer 200 whatever the status
        self.metrics = {job: f"127.0.0.1:{free_port()}" for job in ("web", "relay", "worker", "webhook_worker", "beat")}
        self.processes: dict[str, Process] = {}
        self.start(*self.metrics)
        self.prometheus = Prometheus(shop.folder / "prometheus", self.metrics)
        self.product = self.world.product(PLENTY)

    def start(self, *jobs: str) -> None:
        """Start these processes, and wait until they serve."""
        started = self.world.processes
        starters: dict[str, Callable[[], Process]] = {
            "web": lambda: started.web(PORT=self.metrics["web"].rpartition(":")[2]),
            "relay": lambda: started.relay(METRICS_LISTEN=self.metrics["relay"]),
            "worker": lambda: started.worker(queues="orders,maintenance", METRICS_LISTEN=self.metrics["worker"]),
            "webhook_worker": lambda: started.worker(
                queues="webhooks", concurrency=WEBHOOKS_AT_ONCE, METRICS_LISTEN=self.metrics["webhook_worker"]
            ),
            "beat": lambda: started.beat(METRICS_LISTEN=self.metrics["beat"]),
        }
        for job in jobs:
            self.processes[job] = starters[job]()
        for job in jobs:
            self.processes[job].wait_ready()

    @contextmanager
    def without(self, *jobs: str) -> Iterator[None]:
        """Stop these processes until the block ends."""
        for job in jobs:
            self.processes[job].stop()
        try:
            yield
        finally:
            self.start(*jobs)

    def buy(self, count: int = 1) -> list[int]:
        """Place so many orders; each must be taken."""
        self.world.web = self.processes["web"]
        return [self.world.place({self.product: 1}) for _ in range(count)]

    def try_to_buy(self) -> None:
        """Place an order, or not: a service that is unwell refuses."""
        with suppress(requests.RequestException):
            self.world.send({self.product: 1}, url=f"http://{self.metrics['web']}")

    def command(self, *words: str) -> str:
        """Run a command of the runbook; returns what it printed."""
        process = self.world.processes.start("command", "flask", *words)
        wait_until(lambda: process.exit_code is not None, SOON, f"the end of flask {' '.join(words)}")
        assert process.exit_code == 0, process.text
        return process.text

    def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run one statement."""
        return self.world.rows(statement, *values)


@contextmanager
def processes_end(scene: Scene) -> Iterator[Meanwhile]:
    """Stop all of them; they are started again."""
    with scene.without(*scene.processes):
        yield nothing


@contextmanager
def postgres_is_away(scene: Scene) -> Iterator[Meanwhile]:
    """Stop it while clients go on trying; it is started again."""
    scene.shop.postgres.stop()
    try:
        yield scene.try_to_buy
    finally:
        scene.shop.postgres.start()


@contextmanager
def strangers_connect(scene: Scene) -> Iterator[Meanwhile]:
    """Let four fifths of all connections be theirs; they leave."""
    with ExitStack() as stack:
        for _ in range(STRANGERS):
            connection = psycopg2.connect(scene.world.database_url)
            stack.callback(connection.close)
        yield nothing


@contextmanager
def products_are_locked(scene: Scene) -> Iterator[Meanwhile]:
    """Let a stranger's report hold the table again and again, so that POSTs wait; it ends."""

    def hold() -> None:
        with psycopg2.connect(scene.world.database_url) as connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
            buying = threading.Thread(target=scene.try_to_buy)
            buying.start()
            buying.join(SLOW)
        connection.close()
        buying.join()

    yield hold


@contextmanager
def rabbitmq_is_away(scene: Scene) -> Iterator[Meanwhile]:
    """Take orders as ever, while Beat cannot tick; it is started again."""
    scene.shop.node.kill()
    scene.buy()
    try:
        yield nothing
    finally:
        scene.shop.node.start()


@contextmanager
def relay_is_away(scene: Scene) -> Iterator[Meanwhile]:
    """Let an order's message wait; the relay is started again."""
    with scene.without("relay"):
        scene.buy()
        yield nothing


@contextmanager
def an_order_took_long(scene: Scene) -> Iterator[Meanwhile]:
    """Let it wait for a relay; the next ones do not."""
    with scene.without("relay"):
        orders = scene.buy()
        scene.rows("UPDATE orders SET created_at = created_at - interval '1 minute' WHERE id = ANY(%s) RETURNING id", orders)
    yield nothing
    scene.buy(30)


@contextmanager
def messages_are_lost(scene: Scene) -> Iterator[Meanwhile]:
    """Lose them again and again, before they reach a worker; then no more."""

    def lose() -> None:
        with scene.world.held_up(scene.processes["relay"]):
            orders = scene.buy()
            scene.rows("DELETE FROM outbox WHERE subject_id = ANY(%s) RETURNING id", orders)
            scene.rows("UPDATE orders SET rescue_at = now() WHERE id = ANY(%s) RETURNING id", orders)
        scene.world.wait_settled(orders, SOON)

    yield lose


@contextmanager
def a_message_is_of_no_task(scene: Scene) -> Iterator[Meanwhile]:
    """Leave a row of another version, which a relay cannot publish; it is discarded."""
    row = scene.rows("INSERT INTO outbox (queue, task) VALUES ('webhooks', 'webhooks.nobody_knows') RETURNING id")
    yield nothing
    scene.command("outbox", "discard", str(row[0][0]), "--reason", "nobody needs it")


@contextmanager
def garbage_is_published(scene: Scene) -> Iterator[Meanwhile]:
    """Be a stranger who does so; the queue of dead letters is emptied."""
    scene.world.messages.publish("orders", b"garbage", content_type="application/json")
    yield nothing
    scene.shop.node.ctl("purge_queue", "orderapp.dead")


@contextmanager
def orders_are_forgotten(scene: Scene) -> Iterator[Meanwhile]:
    """Stop worker and Beat for two minutes; they are started again."""
    with scene.without("worker", "beat"):
        orders = scene.buy()
        scene.rows("UPDATE orders SET rescue_at = now() - interval '2 minutes' WHERE id = ANY(%s) RETURNING id", orders)
        yield nothing


@contextmanager
def webhooks_are_forgotten(scene: Scene) -> Iterator[Meanwhile]:
    """Stop their worker and Beat for two minutes; they are started again."""
    with scene.without("webhook_worker", "beat"):
        scene.world.wait_settled(scene.buy())
        scene.rows(
            "UPDATE webhook_deliveries SET rescue_at = now() - interval '2 minutes' WHERE state = 'pending' RETURNING id"
        )
        yield nothing


@contextmanager
def a_receiver_fails(scene: Scene) -> Iterator[Meanwhile]:
    """Refuse all, one for the tenth time. Then be well: that one is sent again, and the pause of the breaker ends."""
    scene.world.receiver.status = 500
    with scene.world.held_up(scene.processes["webhook_worker"]):
        scene.world.wait_settled(scene.buy(ENOUGH_TO_REST))
        (last,) = scene.rows(
            "UPDATE webhook_deliveries SET attempt = 9"
            " WHERE id = (SELECT min(id) FROM webhook_deliveries WHERE state = 'pending') RETURNING id"
        )
    yield nothing
    scene.world.receiver.status = 200
    scene.command("webhooks", "resend", str(last[0]))
    scene.rows("UPDATE webhook_endpoints SET open_until = now() WHERE open_until IS NOT NULL RETURNING id")
    scene.rows("UPDATE webhook_deliveries SET due_at = now(), rescue_at = now() WHERE state = 'pending' RETURNING id")


@contextmanager
def a_receiver_is_gone(scene: Scene) -> Iterator[Meanwhile]:
    """Answer 410, by mistake; the endpoint is enabled again."""
    scene.world.receiver.status = 410
    scene.buy()
    yield nothing
    scene.world.receiver.status = 200
    scene.command("webhooks", "enable", "1")


CAUSES: tuple[tuple[str, Callable[[Scene], AbstractContextManager[Meanwhile]]], ...] = (
    ("DatabaseUnreachable RequestsFail", postgres_is_away),
    ("ConnectionsRunOut", strangers_connect),
    ("OrdersTakenSlowly", products_are_locked),
    ("BrokerUnreachable BeatSilent", rabbitmq_is_away),
    ("OutboxStuck", relay_is_away),
    ("OrdersSettleSlowly", an_order_took_long),
    ("OrdersRescued", messages_are_lost),
    ("MessagesParked", a_message_is_of_no_task),
    ("DeadLetters", garbage_is_published),
    ("OrdersOverdue", orders_are_forgotten),
    ("WebhooksOverdue", webhooks_are_forgotten),
    ("WebhooksFail WebhookGivenUp EndpointRests", a_receiver_fails),
    ("EndpointGivenUp", a_receiver_is_gone),
)


def alerts() -> bool:
    """Let each alert fire and end; returns whether all did."""
    with a_shop() as shop:
        scene = Scene(shop)
        try:
            scene.world.wait_settled(scene.buy())
            downs = {alert for alert in known() if alert[0] == "ProcessDown"}
            seen = _fire(scene, downs, processes_end)
            for names, cause in CAUSES:
                seen |= _fire(scene, {(name, "") for name in names.split()}, cause)
        finally:
            scene.prometheus.process.kill()
    click.echo(f"{len(seen)} of {len(known())} alerts fired and ended")
    return seen == known()


def _fire(scene: Scene, alerts_: set[Alert], cause: Callable[[Scene], AbstractContextManager[Meanwhile]]) -> set[Alert]:
    with cause(scene) as meanwhile:
        scene.prometheus.wait_until_firing(alerts_, meanwhile)
    scene.prometheus.wait_until_silent()
    click.echo(f"{cause.__name__}: {', '.join(sorted(' '.join(alert).strip() for alert in alerts_))} fired and ended")
    return alerts_
