"""Queues, and the exchanges that events and commands of Celery travel by."""

import threading
from pathlib import Path
from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import ChannelError
from kombu.transport.virtual import Channel

from orderapp import filebroker

from .messages import a_connection, files, get, put


def test_events_reach_every_listener_by_topic(url: str) -> None:
    """Flower and `celery events` bind a queue of their own to a topic exchange; so does a second process."""
    exchange = Exchange("celeryev", type="topic")
    with a_connection(url) as first, a_connection(url) as second:
        for connection, name in ((first, "celeryev.one"), (second, "celeryev.two")):
            Queue(name, exchange, routing_key="worker.#")(connection.channel()).declare()
        Queue("celeryev.none", exchange, routing_key="task.#")(first.channel()).declare()
        second.Producer().publish({"type": "worker-online"}, exchange=exchange, routing_key="worker.online")
        heard = {name: get(first.channel(), name) for name in ("celeryev.one", "celeryev.two", "celeryev.none")}
    assert heard == {
        "celeryev.one": {"type": "worker-online"},
        "celeryev.two": {"type": "worker-online"},
        "celeryev.none": None,
    }


def test_commands_reach_every_worker_by_fanout(url: str) -> None:
    """Remote control (`inspect ping`) broadcasts, and a deleted queue gets nothing any more."""
    exchange = Exchange("celery.pidbox", type="fanout")
    with a_connection(url) as connection:
        channel = connection.channel()
        queues = [Queue(f"{name}@host.celery.pidbox", exchange)(channel) for name in ("orders", "webhooks")]
        for queue in queues:
            queue.declare()
        producer = connection.Producer()
        producer.publish({"method": "ping"}, exchange=exchange, routing_key="")
        assert [queue.get(no_ack=True).payload["method"] for queue in queues] == ["ping", "ping"]
        queues[0].delete()
        producer.publish({"method": "ping"}, exchange=exchange, routing_key="")
        assert [channel.queue_declare(queue.name).message_count for queue in queues] == [0, 1]


def test_processes_that_bind_at_once_lose_no_binding(url: str) -> None:
    """Kombu's own table can be read empty while another process creates it, which ends the reader."""
    start = threading.Barrier(8)
    faults: list[BaseException] = []

    def bind(number: int) -> None:
        try:
            with a_connection(url) as connection:
                channel: Any = connection.channel()
                start.wait()
                for _ in range(20):
                    channel._queue_bind("celeryev", "#", "^.*?$", f"celeryev.{number}")
                    channel.get_table("celeryev")
                    channel._queue_bind("celeryev", "#", "^.*?$", f"celeryev.{number}-too")
                    channel._delete(f"celeryev.{number}-too", "celeryev", "#", "^.*?$")
        except BaseException as fault:  # noqa: BLE001 - the assertion below shows it
            faults.append(fault)

    threads = [threading.Thread(target=bind, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with a_connection(url) as connection:
        table = connection.channel().get_table("celeryev")
    assert sorted(row.queue for row in table) == [f"celeryev.{number}" for number in range(8)]


def test_what_dead_listeners_left_is_forgotten_and_work_is_kept(channel: Channel, url: str, folder: Path) -> None:
    """A killed Flower's queue would collect every event for ever; orders that wait are not touched."""
    Queue("celeryev.gone", Exchange("celeryev", type="topic"), routing_key="#")(channel).declare()
    put(channel, 1, queue="celeryev.gone")
    put(channel, 1, queue="orders@host.celery.pidbox")
    put(channel, 1)
    (folder / "writing" / "half").write_text("{")
    (folder / "claimed" / "read-by-a-killed-worker.msg").write_text("{}")
    filebroker.forget_the_dead(url)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [files(folder)[0].name]
    assert get(channel) == 1


@pytest.mark.parametrize("queue", ["../../outside", "a/b", "orders@host.celery.pidbox", "ünï"])
def test_no_queue_name_leaves_the_folder(channel: Channel, folder: Path, queue: str) -> None:
    """A name is quoted into one folder."""
    put(channel, 1, queue=queue)
    assert [len(file.relative_to(folder / "messages").parts) for file in folder.rglob("*.msg")] == [2]
    assert get(channel, queue) == 1


@pytest.mark.parametrize("queue", ["", ".", ".."])
def test_a_name_that_is_a_folder_of_its_own_is_refused(channel: Channel, queue: str) -> None:
    """Nothing is left to quote in these."""
    with pytest.raises(ChannelError):
        put(channel, 1, queue=queue)


def test_other_brokers_get_no_options(folder: Path) -> None:
    """Only filesystem:// has folders."""
    assert filebroker.transport_options("amqp://localhost//") == {}
    assert filebroker.waiting("amqp://localhost//", "orders") == 0
    filebroker.forget_the_dead("amqp://localhost//")
    assert not folder.exists()


def test_waiting_counts_one_queue(channel: Channel, url: str) -> None:
    """The relay stops feeding by it."""
    put(channel, 1, 2, 3)
    put(channel, 4, queue="webhooks")
    assert [filebroker.waiting(url, queue) for queue in ("orders", "webhooks", "maintenance")] == [3, 1, 0]
    get(channel)
    assert filebroker.waiting(url, "orders") == 2
    assert channel.queue_declare("orders").message_count == 2


def test_a_purged_queue_is_empty(channel: Any, url: str) -> None:
    """`celery purge` tells how many it removed, also when some were listed already."""
    put(channel, 1, 2, 3)
    get(channel)
    assert channel.queue_purge("orders") == 2
    assert filebroker.waiting(url, "orders") == 0
    assert get(channel) is None
