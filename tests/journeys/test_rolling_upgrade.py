"""An upgrade under load, in the order that docs/operations.md gives: the tables, then each process in turn."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys.buyers import Buyers
from tests.journeys.world import World
from tests.servers import debian
from tests.servers.nginx import Nginx
from tests.servers.processes import Process
from tests.servers.waiting import free_port, wait_until
from tests.soak.account import audit
from tests.tomorrow import write_tomorrow

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# Seconds for migrations that have nothing to do but to wait for their turn.
MIGRATE = 60

# Seconds for one process to end: under load Celery's children may wait 30 for their parent to have read what they sent.
LEAVE = 60

_TABLES = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
AND relname <> 'alembic_version'"""


class Staff:
    """All processes of the service, and how each is started; in the order in which an upgrade replaces them."""

    def __init__(self, world: World) -> None:
        """Start all of them."""
        started = world.processes
        ports = [str(free_port()) for _ in range(2)]
        self.starters: dict[str, Callable[[], Process]] = {
            "relay": started.relay,
            "worker": lambda: started.worker(queues="orders,maintenance"),
            "worker 2": lambda: started.worker(queues="orders,maintenance"),
            "webhook worker": lambda: started.worker(queues="webhooks"),
            "web": lambda: started.web(PORT=ports[0]),
            "web 2": lambda: started.web(PORT=ports[1]),
            "beat": started.beat,
        }
        self.instances = [f"127.0.0.1:{port}" for port in ports]
        self.processes = {name: start() for name, start in self.starters.items()}
        for process in self.processes.values():
            process.wait_ready()

    def replace(self, name: str) -> None:
        """Ask one process to end, and start its successor when it has."""
        leaving = self.processes[name]
        assert leaving.stop(LEAVE) == 0, leaving.text[-2000:]
        self.processes[name] = self.starters[name]().wait_ready()


@pytest.fixture
def staff(world: World) -> Staff:
    """Give a service at work."""
    return Staff(world)


@pytest.fixture
def nginx(staff: Staff, tmp_path: Path) -> Iterator[Nginx]:
    """Give an nginx in front of both web instances."""
    try:
        server = Nginx(tmp_path / "nginx", staff.instances)
    except debian.MissingPackageError as error:
        pytest.fail(str(error)) if os.environ.get("CI") == "true" else pytest.skip(str(error))
    yield server
    server.stop()


def migrate_to_tomorrow(world: World, folder: Path) -> None:
    """Run the migrations of the next version while everything is at work; each that finds no lock in time, again."""
    tables = [row[0] for row in world.rows(_TABLES)]
    tomorrow = str(write_tomorrow(folder, tables))
    for _attempt in range(5):
        upgrade = world.processes.start("migrate", "flask", "db", "upgrade", "--directory", tomorrow)
        wait_until(lambda: upgrade.exit_code is not None, MIGRATE, "the migrations")  # noqa: B023 - called at once
        if upgrade.exit_code == 0:
            return
        assert "lock timeout" in upgrade.text, upgrade.text[-2000:]
    pytest.fail("the migrations never got their locks")


def test_an_upgrade_of_every_process_under_load_fails_no_request(
    world: World, staff: Staff, nginx: Nginx, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """After a client's second attempt under its key at the latest; no order is lost, none is there twice, all are told."""
    with Buyers(nginx.url, world.product()) as buyers:
        buyers.go_on()
        migrate_to_tomorrow(world, tmp_path / "migrations")
        for name in staff.starters:
            staff.replace(name)
            buyers.go_on(10)

    record_property(f"taken, sent again: {dict(buyers.again)}", len(buyers.taken))
    assert buyers.failed == [], nginx.errors
    order_ids = sorted(buyers.taken.values())
    world.wait_settled(order_ids)
    world.check()
    assert world.statuses(order_ids) == {"confirmed"}
    assert dict(world.rows("SELECT reference, id FROM orders")) == buyers.taken
    assert world.value("SELECT count(*) FROM orders") == len(order_ids)
    assert world.value("SELECT count(*) FROM orders WHERE NOT webhook_sent") == 0
    assert audit(world, "--full")["violations"] == []
