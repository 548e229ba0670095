"""PostgreSQL restored to an earlier moment, in front of a broker that still has messages of the time after it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from orderapp.local.cluster import NAME, PORT, PROGRAMS, Cluster, cluster_in, environment
from orderapp.local.postgres import EmbeddedPostgres
from orderapp.monitoring import queries
from tests.journeys.world import REST, World
from tests.servers import postgres
from tests.servers.postgres import SETTINGS
from tests.servers.waiting import wait_until
from tests.soak.account import audit

pytestmark = [pytest.mark.rabbitmq, pytest.mark.proof]

# Units of the one product: as many orders of one unit can be served.
OPENING = 1_000

# What a process prints when it met something that nobody had thought of.
BUGS = ("Traceback", "[error", "[critical")


def run(cluster: Cluster, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on a server."""
    where = ["-h", str(cluster.socket), "-p", str(PORT), "-U", NAME]
    command = [*cluster.who.prefix, str(cluster.wheel / PROGRAMS / program), *where, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd="/")
    assert done.returncode == 0, done.stderr


class Primary:
    """A PostgreSQL that archives its log, and its twin restored from a base backup and that archive, as the page says."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self._folder = folder
        self._servers: list[EmbeddedPostgres] = []
        self._cluster = cluster_in(folder / "primary")
        self._archive = self._cluster.who.make_folder(self._cluster.data.with_name("archive"))
        archiving = {"archive_mode": "on", "archive_command": f"cp %p {self._archive}/%f"}
        self.url = self._start("primary", archiving)
        postgres.migrate(self.url)

    def _start(self, name: str, settings: dict[str, str]) -> str:
        server = EmbeddedPostgres(self._folder / name, settings=SETTINGS | settings)
        self._servers.append(server)
        return server.start()

    def back_up(self) -> None:
        """Take a base backup into the twin's folder."""
        self._twin = cluster_in(self._folder / "twin")
        run(self._cluster, "pg_basebackup", "--checkpoint=fast", "-D", str(self._twin.data))

    def restore(self, moment: str) -> str:
        """Lose the primary, and return the URL of its twin as it was then."""
        with postgres.administrate(self.url) as cursor:
            cursor.execute("SELECT pg_switch_wal()")
        self.stop()  # in order: so the last of its log is in the archive
        (self._twin.data / "recovery.signal").touch()
        recovery = {
            "restore_command": f"cp {self._archive}/%f %p",
            "recovery_target_time": moment,
            "recovery_target_action": "promote",
        }
        return self._start("twin", recovery)

    def stop(self) -> None:
        """End what runs."""
        for server in self._servers:
            server.stop()
        self._servers.clear()


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Primary]:
    """Give a migrated server with an archive."""
    server = Primary(tmp_path)
    yield server
    server.stop()
    for place in (tmp_path / "primary", tmp_path / "twin"):
        shutil.rmtree(cluster_in(place).data.parent, ignore_errors=True)


def open_shop(url: str, broker: str, folder: Path) -> World:
    """Start the service on this database."""
    world = World(url, broker, folder)
    started = world.processes
    return world.start(web=started.web(), relay=started.relay(), worker=started.worker(), beat=started.beat())


def test_messages_from_a_lost_future_do_no_harm(primary: Primary, broker: str, tmp_path: Path) -> None:
    """They name orders that are no more, that are open again, that are somebody else's now: each is only a wake-up."""
    before = open_shop(primary.url, broker, tmp_path / "before")
    try:
        moment, open_then, told = live_and_lose(before, primary)
    finally:
        before.end()

    after = open_shop(primary.restore(moment), broker, tmp_path / "after")
    try:
        known = {str(event) for (event,) in after.rows("SELECT id FROM order_events")}
        after.receiver.requests += [one for one in before.receiver.requests if one.id in known]  # it has not forgotten
        after.wait_settled(open_then)
        new = after.place({1: 1})  # its number was another order's, in the time that is lost
        assert new in told
        after.rows(jump_of_the_page())
        beyond = after.place({1: 1})
        assert beyond > max(told)
        after.wait_settled([new, beyond])
        after.check()
        assert after.statuses([*open_then, new, beyond]) == {"confirmed"}
        placed = after.value("SELECT count(*) FROM orders")
        assert after.value("SELECT stock FROM products") == OPENING - placed
        assert audit(after, "--full")["violations"] == []
        assert [after.messages.waiting(queue) for queue in ("orders", "webhooks", "orderapp.dead")] == [0, 0, 0]
        output = {process.name: process.text for process in after.processes.started}
        assert [(name, bug) for name, text in output.items() for bug in BUGS if bug in text] == []
    finally:
        after.end()


def live_and_lose(world: World, primary: Primary) -> tuple[str, list[int], list[int]]:
    """Live through a backup, a moment and the time after it; returns the moment, what was open then and all ids of later."""
    product = world.product(OPENING)
    assert product == 1
    settled = world.place_many([{product: 1}] * 5)
    world.wait_settled(settled)
    primary.back_up()
    settled += world.place_many([{product: 1}] * 5)
    world.wait_settled(settled)
    world.check()
    with world.held_up(world.worker):
        open_then = world.place_many([{product: 1}] * 5)
        moment = str(world.value("SELECT clock_timestamp()"))
    later = world.place_many([{product: 1}] * 40)
    world.wait_settled([*open_then, *later])
    world.check()
    deliveries = [row[0] for row in world.rows("SELECT id FROM webhook_deliveries ORDER BY id")]
    world.worker.stop()
    unseen = world.place_many([{product: 1}] * 5)  # taken and told, in the broker, and settled by nobody
    wait_until(world.outbox_is_empty, REST, "their messages to be in the broker")
    world.messages.send("orders.process", [*settled, *open_then, *later])
    for start in range(0, len(deliveries), 20):
        world.messages.send("webhooks.deliver", deliveries[start : start + 20])
    return moment, open_then, [*later, *unseen]


def jump_of_the_page() -> str:
    """Return the statement of docs/operations.md that keeps numbers from being given twice."""
    (statement,) = re.findall(r"^ *(SELECT setval\(.*?;)$", (config.ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    return str(statement)


def test_a_dump_that_is_restored_as_the_page_says_has_the_limits_of_the_role(private_postgres: EmbeddedPostgres) -> None:
    """Without them a blocked task would be killed with its worker; nobody would notice before."""
    cluster = private_postgres.cluster
    assert cluster is not None
    dump = str(cluster.data.with_name("dump"))
    run(cluster, "pg_dump", "--format=custom", f"--file={dump}", NAME)
    with postgres.administrate(private_postgres.url.replace(f"/{NAME}?", "/postgres?")) as cursor:
        cursor.execute(f"ALTER DATABASE {NAME} RENAME TO lost")
    run(cluster, "pg_restore", "--create", "--dbname=postgres", dump)
    with postgres.administrate(private_postgres.url) as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), version_num FROM alembic_version")
        assert cursor.fetchall() == [("5s", queries.newest_migration())]
