"""What tests stand on: databases and virtual hosts of their own, nodes that can be stopped and killed."""

import os
import subprocess
import sys

import amqp
import psycopg2
import pytest

import config
from tests.servers import postgres, waiting
from tests.servers.rabbitmq import RabbitNode
from tests.servers.run import Servers


def _rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with postgres.administrate(url) as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _connect(url: str) -> amqp.Connection:
    address, _, vhost = url.removeprefix("amqp://guest:guest@").partition("/")
    connection = amqp.Connection(address, virtual_host=vhost or "/")
    connection.connect()
    return connection


def test_the_database_has_the_tables_and_no_rows_but_the_anonymous_client(database: str) -> None:
    """Every test starts from what the migrations leave."""
    assert _rows(database, "SELECT name FROM api_clients") == [("anonymous",)]
    assert _rows(database, "SELECT count(*) FROM orders") == [(0,)]


def test_cleaning_removes_rows_and_starts_ids_again(migrated_database: str) -> None:
    """Rows of another test are gone, so that expected ids can be written down; locks of the dead do not matter."""
    holder = psycopg2.connect(migrated_database)
    holder.cursor().execute("INSERT INTO products (name, price) VALUES ('left', 1)")
    _rows(migrated_database, "INSERT INTO api_clients (name) VALUES ('somebody')")

    postgres.clean(migrated_database)

    new = "INSERT INTO products (name, price) VALUES ('new', 1) RETURNING id"
    assert _rows(migrated_database, new) == [(1,)]
    assert _rows(migrated_database, "SELECT name FROM api_clients") == [("anonymous",)]


def test_a_copy_of_the_template_keeps_the_limits_of_the_role(database: str) -> None:
    """CREATE DATABASE copies no ALTER ROLE ... IN DATABASE; without it, tests would run without the timeouts of production."""
    assert _rows(database, "SHOW lock_timeout") == [("5s",)]


def test_two_databases_of_one_run_are_not_the_same(servers: Servers, database: str) -> None:
    """Each worker of xdist has its own."""
    other = servers.migrated_database()
    _rows(other, "INSERT INTO products (name, price) VALUES ('other', 1)")
    assert other != database
    assert _rows(database, "SELECT count(*) FROM products") == [(0,)]


@pytest.mark.rabbitmq
def test_a_virtual_host_is_empty_and_gone_after_the_test(servers: Servers) -> None:
    """No queue outlives its test."""
    url = servers.virtual_host()
    with _connect(url) as connection:
        connection.channel().queue_declare("orders", durable=True, auto_delete=False)
    servers.drop_virtual_host(url)
    with pytest.raises(amqp.NotAllowed):
        _connect(url)


@pytest.mark.proof
def test_a_killed_node_has_its_durable_messages_again_when_it_starts(private_node: RabbitNode) -> None:
    """Tests of outages kill the broker and bring it back at the same address."""
    url = private_node.create_vhost("test")
    with _connect(url) as connection:
        channel = connection.channel()
        channel.confirm_select()
        channel.queue_declare("q", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        channel.basic_publish_confirm(amqp.Message("kept", delivery_mode=2), routing_key="q")

    private_node.kill()
    assert not private_node.answers()
    private_node.start()

    with _connect(url) as connection:
        assert connection.channel().basic_get("q", no_ack=True).body == "kept"


@pytest.mark.proof
def test_a_stopped_node_refuses_connections_and_a_paused_one_is_silent(private_node: RabbitNode) -> None:
    """The two ways in which a broker can be away; meanwhile, nothing of the machine's own node was in use."""
    folder = private_node.ctl("eval", "io:format('~s', [rabbit_mnesia:dir()]).")
    assert private_node.name in folder
    assert not folder.startswith("/var/lib")

    private_node.pause()
    assert not private_node.answers()
    private_node.resume()
    assert private_node.answers()
    private_node.stop()
    assert not private_node.answers()


def test_a_port_is_given_to_one_process_only() -> None:
    """A node that is down for a while would find its port taken when it comes back."""
    port = waiting.free_port()
    # Another process that would take this very port, and then those above it.
    program = f"from tests.servers import waiting as w; ports = iter(range({port}, {port} + 100));"
    program += "w.random.randint = lambda *_: next(ports); print(w.free_port())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=config.ROOT)
    assert int(other.stdout) > port


@pytest.mark.skipif(not os.environ.get("TEST_PGBOUNCER"), reason="needs PgBouncer: make matrix")
def test_a_pooler_pools_by_transaction(migrated_database: str) -> None:
    """In its default mode a session stays with its client, and the tests would show nothing."""
    holders = [psycopg2.connect(migrated_database) for _ in range(2)]
    pids = set()
    for holder in holders:
        with holder, holder.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids.add(cursor.fetchone())
    assert len(pids) == 1
