"""Several consumers of one queue."""

import subprocess
import sys
import threading
from typing import Any

from orderapp import filebroker

from .messages import a_connection, get, put


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
from tests.filebroker.messages import a_connection, get
with a_connection(sys.argv[1]) as connection:
    channel = connection.channel()
    print("ready", flush=True)
    sys.stdin.readline()
    while (body := get(channel)) is not None:
        print(body)
"""


def test_two_processes_never_get_one_message(url: str) -> None:
    """The same with processes, as the workers are."""
    with a_connection(url) as sender:
        put(sender.channel(), *range(200))
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    consumers: list[Any] = [subprocess.Popen([sys.executable, "-c", CONSUMER, url], **pipes) for _ in range(2)]
    assert [consumer.stdout.readline() for consumer in consumers] == ["ready\n", "ready\n"]
    for consumer in consumers:
        consumer.stdin.write("go\n")
        consumer.stdin.flush()
    answers = [consumer.communicate(timeout=30)[0] for consumer in consumers]
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
