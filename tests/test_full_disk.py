"""Disks without room, on a small tmpfs: PostgreSQL's, and the one on which the processes keep their notes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from orderapp.local.postgres import EmbeddedPostgres
from tests.journeys.world import World
from tests.servers import postgres
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a tmpfs"),
]

# Bytes: an empty database with the least write-ahead log that PostgreSQL keeps, and some room for orders.
ROOM = 160_000_000

# As little log as there can be, so that the ballast is what fills the disk.
LITTLE_LOG = {"min_wal_size": "32MB", "max_wal_size": "32MB", "wal_recycle": "off"}

# Lines of an order: each order then takes some 10 kB, and a full disk is met after a few.
LINES = 100

# Orders until the room that was left in half-full blocks has gone.
MOST = 400


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small disk of this test's own."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _fill(disk: Path) -> Path:
    """Take all room there is; the file that takes it is returned."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        left = shutil.disk_usage(disk).free
        os.posix_fallocate(file.fileno(), 0, left)
    return ballast


@pytest.fixture
def private_postgres(disk: Path) -> Iterator[Any]:
    """Give a migrated PostgreSQL on the small disk; ``environment`` finds it under this name."""
    server = EmbeddedPostgres(disk / "postgres", settings={**postgres.SETTINGS, **LITTLE_LOG})
    try:
        postgres.migrate(server.start())
        yield server
    finally:
        server.stop()


@pytest.mark.usefixtures("private_postgres")
def test_while_the_databases_disk_is_full_posts_are_503_and_gets_work(
    client: FlaskClient, disk: Path, a_product: Callable[..., int]
) -> None:
    """No order is half there; with room again the next one is taken, and nobody has to restart anything."""
    items = [{"product_id": a_product(), "quantity": 1} for _ in range(LINES)]

    def post() -> int:
        return client.post("/api/orders/", json={"items": items}).status_code

    assert post() == 201
    ballast = _fill(disk)
    taken = 1
    for _ in range(MOST):
        answer = client.post("/api/orders/", json={"items": items})
        if answer.status_code != 201:
            break
        taken += 1
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/api/orders/1/").status_code == 200
    ballast.unlink()
    wait_until(lambda: post() == 201, 30, "an order that is taken")
    page = client.get("/api/orders/?limit=100").get_json()
    assert page["data"][0]["id"] >= taken + 1
    assert all(len(order["items"]) == LINES for order in page["data"])


@pytest.mark.rabbitmq
def test_processes_serve_although_the_disk_of_their_notes_is_full(
    disk: Path, database: str, broker: str, tmp_path: Path
) -> None:
    """Heartbeats cannot be kept, and health checks say so; orders are placed, settled and told all the same."""
    _fill(disk)
    world = World(database, broker, tmp_path / "output")
    world.processes.environment["TMPDIR"] = str(disk)
    started = world.processes
    try:
        world.start(web=started.web(), relay=started.relay(), worker=started.worker(), beat=started.beat())
        world.wait_settled([world.lose_a_message()])
        world.check()
        assert all(one.exit_code is None for one in (world.web, world.relay, world.worker, world.beat))
    finally:
        world.end()
