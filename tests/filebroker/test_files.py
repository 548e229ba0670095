"""A message is a file: it appears whole, comes in order, and is set aside when nobody can read it."""

import json
import logging
import os
import subprocess
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu.exceptions import ChannelError
from kombu.transport.virtual import Channel

from orderapp import filebroker

from .messages import files, get, put


def test_a_message_goes_through_the_default_exchange_by_the_queues_name(channel: Channel) -> None:
    """Put and get need no declaration and no binding."""
    put(channel, [1, 2, 3])
    assert get(channel) == [1, 2, 3]
    assert get(channel) is None


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


def test_an_empty_queue_says_so(channel: Any) -> None:
    """Kombu's poll goes by this error."""
    with pytest.raises(Empty):
        channel._get("orders")
