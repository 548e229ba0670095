"""The broker of `make run`: what a message goes through between two processes, without Celery."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu import Connection, Exchange, Queue
from kombu.exceptions import ChannelError
from kombu.transport.virtual import Channel

from orderapp import filebroker

ORDERS = Queue("orders", Exchange(""), routing_key="orders")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a broker of one's own."""
    return f"filesystem://{tmp_path}/the%20broker"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that the URL names."""
    return tmp_path / "the broker"


@pytest.fixture
def channel(url: str) -> Iterator[Channel]:
    """Return an open channel."""
    with a_connection(url) as connection:
        yield connection.channel()


def a_connection(url: str) -> Connection:
    """Connect the way worker.py and outbox/broker.py do."""
    return Connection("filesystem://", transport_options=filebroker.transport_options(url))


def put(channel: Any, *bodies: Any, queue: str = "orders") -> None:
    """Publish to the default exchange, where the routing key is the queue's name."""
    for body in bodies:
        message = channel.prepare_message(json.dumps(body), content_type="application/json", content_encoding="utf-8")
        channel.basic_publish(message, exchange="", routing_key=queue)


def get(channel: Any, queue: str = "orders") -> Any:
    """Take the next message; None when there is none."""
    message = channel.basic_get(queue)
    if message is None:
        return None
    message.ack()
    return message.payload


def files(folder: Path, queue: str = "orders") -> list[Path]:
    """Return the files that wait in a queue, as they sort."""
    return sorted((folder / "messages" / queue).glob("*"))


def test_a_message_goes_through_the_default_exchange_by_the_queues_name(channel: Channel) -> None:
    """Put and get need no declaration and no binding."""
    put(channel, [1, 2, 3])
    assert get(channel) == [1, 2, 3]
    assert get(channel) is None


def test_other_brokers_get_no_options(folder: Path) -> None:
    """Only filesystem:// has folders."""
    assert filebroker.transport_options("amqp://localhost//") == {}
    assert filebroker.waiting("amqp://localhost//", "orders") == 0
    filebroker.forget_the_dead("amqp://localhost//")
    assert not folder.exists()


def test_messages_come_in_the_order_they_were_sent(channel: Channel, folder: Path) -> None:
    """More than the nine that sort right by luck, and across two looks at the folder."""
    put(channel, *range(150))
    first = [get(channel) for _ in range(75)]
    put(channel, *range(150, 300))
    assert first + [get(channel) for _ in range(225)] == list(range(300))
    assert files(folder) == []


def test_file_names_sort_by_time_before_sequence(channel: Channel, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kombu's own sort as text: a message of second 10 came before one of second 9."""
    for second in (9, 10, 11):
        monkeypatch.setattr(filebroker.time, "time_ns", lambda second=second: second)
        put(channel, second, second)
    times = [int(file.name.split("-")[0]) for file in files(folder)]
    sequences = [int(file.name.split("-")[1]) for file in files(folder)]
    assert times == [9, 9, 10, 10, 11, 11]
    assert sequences == sorted(sequences)


def test_a_message_appears_by_rename(channel: Channel, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a consumer can list is whole: before the rename nothing is there, and it holds everything at once."""
    seen: list[tuple[int, Any]] = []
    rename = Path.rename

    def watched(half: Path, target: Path) -> Path:
        if half.parent.name == "writing" and target.parent.is_dir():
            seen.append((len(files(folder)), json.loads(half.read_text())["content-type"]))
        return rename(half, target)

    monkeypatch.setattr(Path, "rename", watched)
    put(channel, "first", "second")
    assert seen[-2:] == [(0, "application/json"), (1, "application/json")]
    assert list((folder / "writing").iterdir()) == []


def test_a_full_disk_is_an_error_of_the_sender_and_leaves_nothing(
    channel: Channel, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay sees Kombu's own error and keeps its rows."""

    def full(file: Path, text: str) -> int:
        file.touch()
        raise OSError(28, "No space left on device", text)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ChannelError, match="No space left"):
        put(channel, 1)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "empty, as a half-written file of Kombu's own"),
        (b'{"body": "W10=", "properties": {"delivery_in', "half-written"),
        (b"\xff\xfe\x00", "not text"),
        (b"[1, 2]", "no message"),
        (b'{"body": "W10="}', "no properties"),
        (b'{"body": "W10=", "properties": {"delivery_tag": "1", "body_encoding": "base64"}}', "no way back into its queue"),
        (b'{"body": "W10=", "properties": {"delivery_tag": "1", "body_encoding": "rot13"}}', "an unknown encoding"),
        (b'{"body": "W", "properties": {"delivery_tag": "1", "body_encoding": "base64"}}', "a broken body"),
    ],
)
def test_an_unreadable_file_is_set_aside_and_named(
    channel: Channel, folder: Path, caplog: pytest.LogCaptureFixture, text: bytes, why: str
) -> None:
    """The consumer goes on with the next message; one line says which file, and it keeps what it holds."""
    queue = folder / "messages" / "orders"
    queue.mkdir(parents=True)
    (queue / "00000000000000000001-broken.msg").write_bytes(text)
    put(channel, "after it")
    with caplog.at_level(logging.INFO):
        assert get(channel) == "after it", why
    aside = folder / "unreadable" / "00000000000000000001-broken.msg"
    assert aside.read_bytes() == text
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(aside) in caplog.text
    assert "orders" in caplog.text
    assert list((folder / "claimed").iterdir()) == []


def test_a_file_that_is_no_message_is_left_alone(channel: Channel, folder: Path) -> None:
    """Whatever an editor or a copy leaves in the folder does not count and is not read."""
    put(channel, 1)
    (folder / "messages" / "orders" / ".hidden.swp").write_text("nonsense")
    assert filebroker.waiting(f"filesystem://{folder}", "orders") == 1
    assert [get(channel), get(channel)] == [1, None]
    assert (folder / "messages" / "orders" / ".hidden.swp").exists()


def test_waiting_counts_one_queue(channel: Channel, url: str) -> None:
    """The relay stops feeding by it."""
    put(channel, 1, 2, 3)
    put(channel, 4, queue="webhooks")
    assert [filebroker.waiting(url, queue) for queue in ("orders", "webhooks", "maintenance")] == [3, 1, 0]
    get(channel)
    assert filebroker.waiting(url, "orders") == 2
    assert channel.queue_declare("orders").message_count == 2


def test_two_consumers_never_get_one_message(url: str) -> None:
    """200 messages, two connections at once: each message once, none missing."""
    with a_connection(url) as sender:
        put(sender.channel(), *range(200))
    taken: dict[str, list[int]] = {"one": [], "two": []}
    start = threading.Barrier(2)

    def consume(name: str) -> None:
        with a_connection(url) as connection:
            channel = connection.channel()
            start.wait()
            while (body := get(channel)) is not None:
                taken[name].append(body)

    threads = [threading.Thread(target=consume, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken["one"] + taken["two"]) == list(range(200))


CONSUMER = """
import sys
from tests.test_filebroker import a_connection, get
with a_connection(sys.argv[1]) as connection:
    channel = connection.channel()
    print("ready", flush=True)
    sys.stdin.readline()
    while (body := get(channel)) is not None:
        print(body)
"""


def test_two_processes_never_get_one_message(url: str) -> None:
    """The same with processes, as the workers are, and both find work."""
    with a_connection(url) as sender:
        put(sender.channel(), *range(200))
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    consumers = [subprocess.Popen([sys.executable, "-c", CONSUMER, url], **pipes) for _ in range(2)]
    assert [consumer.stdout.readline() for consumer in consumers if consumer.stdout] == ["ready\n", "ready\n"]
    answers = [consumer.communicate("go\n", timeout=30)[0] if consumer is consumers[1] else "" for consumer in consumers]
    answers[0] = consumers[0].communicate("go\n", timeout=30)[0]
    assert sorted(int(body) for answer in answers for body in answer.split()) == list(range(200))


def test_an_unacknowledged_message_goes_back_when_its_consumer_ends(url: str) -> None:
    """A worker that stops in order hands back what it had prefetched."""
    with a_connection(url) as connection:
        channel = connection.channel()
        put(channel, "kept")
        assert channel.basic_get("orders").payload == "kept"
        assert filebroker.waiting(url, "orders") == 0
    with a_connection(url) as connection:
        message = connection.channel().basic_get("orders")
        assert message.payload == "kept"
        message.ack()


def test_a_rejected_message_goes_back_or_away(channel: Any, url: str) -> None:
    """Requeue puts it at the end of its queue; without it the message is gone, its order is found by the rescuer."""
    put(channel, "again")
    channel.basic_get("orders").reject(requeue=True)
    assert filebroker.waiting(url, "orders") == 1
    channel.basic_get("orders").reject(requeue=False)
    assert filebroker.waiting(url, "orders") == 0


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


def test_a_broker_whose_folder_is_removed_goes_on_with_the_next_message(channel: Channel, folder: Path) -> None:
    """`rm -rf` under a running stack loses what it removes, nothing else."""
    put(channel, "lost")
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert get(channel) is None
    put(channel, "kept")
    assert [get(channel), get(channel)] == [None, "kept"]  # the first look finds the folder of claims gone


@pytest.mark.skipif(os.geteuid() == 0, reason="root may rename everywhere")
def test_a_message_that_cannot_be_claimed_is_logged_once(
    channel: Channel, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A queue folder of another user: the worker lives on, and its log is not flooded fifty times a second."""
    put(channel, 1)
    (folder / "messages" / "orders").chmod(0o500)
    assert [get(channel) for _ in range(5)] == [None] * 5
    assert caplog.text.count("cannot claim") == 1
    (folder / "messages" / "orders").chmod(0o700)
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


def test_an_empty_queue_says_so(channel: Any) -> None:
    """Kombu's poll goes by this error."""
    with pytest.raises(Empty):
        channel._get("orders")


def test_a_purged_queue_is_empty(channel: Any, url: str) -> None:
    """`celery purge` tells how many it removed, also when some were listed already."""
    put(channel, 1, 2, 3)
    get(channel)
    assert channel.queue_purge("orders") == 2
    assert filebroker.waiting(url, "orders") == 0
    assert get(channel) is None
