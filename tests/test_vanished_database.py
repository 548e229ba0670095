"""PostgreSQL, or the network to it, stops answering without a word: nobody waits for it for ever."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from orderapp.database import db, is_outage, reading
from tests.servers import postgres
from tests.servers.links import Link, a_network
from tests.servers.waiting import wait_until

# An address of this machine's loopback that nobody else uses; its packets can be dropped without harm to others.
ADDRESS = "127.66.0.1"

# Seconds: the database's own deadlines, 3 to connect and 8 without a sign of life, and what a busy machine adds.
CONNECT, ALIVE, GRACE = 3, 8, 7

ROUTE = ["blackhole", ADDRESS, "table", "local"]


@pytest.fixture
def link(migrated_database: str) -> Iterator[tuple[Link, str]]:
    """Give a link to the database, and its URL over it."""
    postgres.clean(migrated_database)
    with a_network() as network:
        yield network.link_to_database("service - PostgreSQL", migrated_database, ADDRESS)


@pytest.fixture
def database(link: tuple[Link, str]) -> str:
    """Return that URL: ``environment`` takes it for the database's."""
    return link[1]


@contextmanager
def _packets_dropped() -> Iterator[None]:
    subprocess.run(["ip", "route", "add", *ROUTE], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "del", *ROUTE], check=True)


def test_a_connection_asks_whether_the_server_is_still_there(app: Flask) -> None:
    """Who waits for an answer sends nothing that could be missed: only the kernel's own questions find out."""
    assert app
    with reading() as session, socket.socket(fileno=os.dup(session.connection.fileno())) as wire:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
        assert [wire.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [4, 1, 1000 * ALIVE]


@pytest.mark.proof
def test_a_post_that_finds_a_black_hole_is_503_in_seconds(client: FlaskClient, link: tuple[Link, str]) -> None:
    """Connections are taken and nobody speaks; the next POST after its end is taken."""
    order = {"items": [{"product_id": 1, "quantity": 1}]}
    link[0].swallow()
    began = time.monotonic()
    answer = client.post("/api/orders/", json=order)
    assert time.monotonic() - began < CONNECT + GRACE
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    link[0].heal()
    assert client.post("/api/orders/", json=order).status_code == 422  # it asked: there is no product


@pytest.mark.proof
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="only root can let a network drop packets")
def test_a_server_that_vanishes_while_its_answer_is_awaited_is_noticed(app: Flask, migrated_database: str) -> None:
    """A host that died, a firewall that forgot: no farewell comes, and the thread is free in seconds, not in two hours."""

    def ask() -> None:
        with app.app_context(), reading() as session:
            session.execute(text("SELECT pg_sleep(25)"))

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        with postgres.administrate(migrated_database) as cursor:

            def is_asked() -> bool:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(25)' AND state = 'active'")
                return bool(cursor.fetchone()[0])

            wait_until(is_asked, GRACE, "the question")
        with _packets_dropped():
            error = asked.exception(timeout=ALIVE + GRACE)
    assert error is not None
    assert is_outage(error)
    db.engine.dispose()
