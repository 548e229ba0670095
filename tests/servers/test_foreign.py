"""With TEST_DATABASE_URL and TEST_BROKER_URL, tests work on somebody's servers and leave them as they were."""

from pathlib import Path
from typing import Any

import amqp
import pytest

from tests.servers.postgres import Databases, administrate
from tests.servers.rabbitmq import RabbitNode
from tests.servers.vhosts import virtual_hosts
from tests.servers.waiting import free_port


def _databases(url: str) -> set[str]:
    with administrate(url) as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.proof
def test_databases_on_a_foreign_server_are_our_own_and_dropped_at_the_end(
    private_postgres: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The database in the URL is only where we log in; even a connection left open does not keep ours alive."""
    monkeypatch.setenv("TEST_DATABASE_URL", private_postgres.url)
    before = _databases(private_postgres.url)
    databases = Databases(tmp_path / "unused")

    migrated, empty = databases.migrated(), databases.empty()

    assert len(_databases(private_postgres.url) - before) == 3  # the template too
    with administrate(migrated) as cursor, administrate(empty):
        cursor.execute("INSERT INTO products (name, price) VALUES ('ours', 1)")
        databases.stop()
    assert _databases(private_postgres.url) == before
    with administrate(private_postgres.url) as cursor:
        cursor.execute("SELECT count(*) FROM products")
        assert cursor.fetchone() == (0,)
    assert not (tmp_path / "unused").exists()


@pytest.mark.proof
@pytest.mark.rabbitmq
def test_virtual_hosts_on_a_foreign_broker_are_our_own_and_deleted_at_the_end(tmp_path: Path) -> None:
    """Made through the management API, usable by the user of the URL, gone with their queues."""
    port = free_port()
    node = RabbitNode(tmp_path / "theirs", management_port=port)
    try:
        node.start()
        before = node.ctl("list_vhosts")
        hosts = virtual_hosts(tmp_path / "unused", node.url(), f"http://127.0.0.1:{port}")
        urls = [hosts.create(), hosts.create()]
        address, _, name = urls[0].removeprefix("amqp://guest:guest@").partition("/")
        with amqp.Connection(address, virtual_host=name) as connection:
            connection.channel().queue_declare("orders", durable=True, auto_delete=False)
        assert node.ctl("list_vhosts").count("orderapp-test-") == 2
        hosts.delete(urls[0])
        hosts.stop()
        assert node.ctl("list_vhosts") == before
    finally:
        node.destroy()


def test_a_foreign_broker_without_management_api_is_a_clear_message(tmp_path: Path) -> None:
    """AMQP itself cannot make virtual hosts, and an existing one is never touched."""
    api = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RuntimeError, match=r"TEST_BROKER_URL is set(.|\n)*rabbitmq-plugins enable(.|\n)*TEST_BROKER_API_URL"):
        virtual_hosts(tmp_path, "amqp://guest:guest@127.0.0.1//", api)
