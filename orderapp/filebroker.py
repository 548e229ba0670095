"""The broker of `make run`: Kombu's ``filesystem`` transport, made safe for several processes.

Kombu's own writes a message, and its routing tables, in place: a consumer can read half of one, and what it cannot
read ends the Celery worker. Here every file appears by rename, is claimed by rename, and is set aside when it cannot be
read. Importing this module makes ``filesystem://`` mean this transport.

Each queue is a folder below ``messages/``, so that looking for a message never walks past other queues' files. It is the
try-it mode: a message that was handed out and not yet acknowledged is lost with its consumer, and the rescuers heal it.
"""

import fcntl
import itertools
import logging
import os
import shutil
import time
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

log = logging.getLogger(__name__)

SCHEME = "filesystem"

# Seconds between two looks for a message. Half of it is added to an idle message's latency; an idle look costs some
# ten microseconds per queue.
POLLING_INTERVAL = 0.02

# Queues that end with the process that declared them, but whose files nobody would delete after a kill.
_TRANSIENT = ("celeryev.*", "*.pidbox")


def transport_options(broker_url: str) -> dict[str, Any]:
    """Return Kombu's options for ``filesystem:///absolute/folder`` and create its folders; for any other URL nothing."""
    if not _is_file(broker_url):
        return {}
    folder = _folder(broker_url)
    options = {
        "data_folder_in": folder / "messages",
        "data_folder_out": folder / "messages",
        "processed_folder": folder / "claimed",
        "control_folder": folder / "control",
    }
    for each in (*options.values(), folder / "writing", folder / "unreadable"):
        each.mkdir(parents=True, exist_ok=True)
    return {name: str(path) for name, path in options.items()} | {"polling_interval": POLLING_INTERVAL}


def waiting(broker_url: str, queue: str) -> int:
    """Return how many messages wait in a queue; 0 for a broker that is not made of files."""
    return len(_names(_queue_folder(_folder(broker_url) / "messages", queue))) if _is_file(broker_url) else 0


def forget_the_dead(broker_url: str) -> None:
    """Remove the queues of events and replies of processes that are gone. For the one who knows that none is running."""
    if _is_file(broker_url):
        folder = _folder(broker_url)
        for stale in [folder / "control", *(path for name in _TRANSIENT for path in (folder / "messages").glob(name))]:
            shutil.rmtree(stale, ignore_errors=True)
        for left in [path for name in ("writing", "claimed") for path in (folder / name).glob("*")]:
            left.unlink(missing_ok=True)


class Channel(filesystem.Channel):
    """One folder per queue; files that appear, are claimed and are set aside by rename."""

    _sequence = itertools.count()

    @cached_property
    def _seen(self) -> dict[str, deque[str]]:
        """What the last look found, oldest first, by queue: a folder of n files is listed once per n messages."""
        return {}

    @cached_property
    def _stuck(self) -> set[Path]:
        """Messages that could not be claimed, so that each is logged once and not at every look."""
        return set()

    @property
    def _messages(self) -> Path:
        return Path(self.data_folder_in)

    def _put(self, queue: str, message: Any, **_kwargs: Any) -> None:  # type: ignore[override] # the stubs disagree
        # Sorts by time, then by the order of one process; the last part keeps processes apart.
        name = f"{time.time_ns():020d}-{next(self._sequence):012d}-{uuid.uuid4().hex[:12]}.msg"
        try:
            self._write(_queue_folder(self._messages, queue) / name, dumps(message))
        except OSError as error:
            raise ChannelError(f"cannot put a message into {queue}: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002 - the poll's, not ours
        folder = _queue_folder(self._messages, queue)
        names = self._seen.setdefault(queue, deque())
        if not names:
            names.extend(sorted(_names(folder)))
        while names:
            payload = self._take(folder / names.popleft())
            if payload is not None:
                return payload
        raise Empty

    def _take(self, file: Path) -> Any:
        """Return what the file holds and remove it; None when somebody else was faster or nobody can read it."""
        claimed = Path(self.processed_folder) / file.name
        try:
            file.rename(claimed)  # of all consumers only one can: for the others it is gone
        except FileNotFoundError:
            claimed.parent.mkdir(parents=True, exist_ok=True)  # unless it was this folder that was gone
            return None
        except OSError as error:
            if file not in self._stuck:
                self._stuck.add(file)
                log.error("cannot claim a message, it stays where it is: %s", error)  # noqa: TRY400 - says it all
            return None
        try:
            payload = loads(claimed.read_bytes().decode())
            self.Message(payload, channel=self).delivery_info["routing_key"]  # by it a message goes back
        except Exception as error:  # noqa: BLE001 - any fault in a file would end the worker
            # Whoever reads the log sees it, and finds the file.
            self._set_aside(claimed, file.parent, error)
            return None
        claimed.unlink(missing_ok=True)
        return payload

    def _set_aside(self, file: Path, queue_folder: Path, fault: Exception) -> None:
        aside = self._messages.parent / "unreadable" / file.name
        with suppress(OSError):
            aside.parent.mkdir(exist_ok=True)
            file.rename(aside)
        log.error("unreadable message of queue %s set aside as %s: %r", unquote(queue_folder.name), aside, fault)

    def _size(self, queue: str) -> int:
        return len(_names(_queue_folder(self._messages, queue)))

    def _purge(self, queue: str) -> int:
        folder = _queue_folder(self._messages, queue)
        self._seen.pop(queue, None)
        removed = 0
        for name in _names(folder):
            with suppress(FileNotFoundError):
                (folder / name).unlink()
                removed += 1
        return removed

    def get_table(self, exchange: str) -> list[Any]:
        """Return the bindings of an exchange: always a whole table, for it is replaced by rename."""
        try:
            return [filesystem.exchange_queue_t(*row) for row in loads(self._table_file(exchange).read_text())]
        except FileNotFoundError:
            return []

    def _table_file(self, exchange: str) -> Path:
        return Path(self.control_folder) / f"{quote(exchange, safe='')}.exchange"

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None) -> None:
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._changing(exchange) as table:
            if binding not in table:
                table.append(binding)

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *_args: Any, **_kwargs: Any) -> None:
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._changing(exchange) as table, suppress(ValueError):
            table.remove(binding)
        self._purge(queue)
        with suppress(OSError):  # not empty: somebody has put a message there meanwhile
            _queue_folder(self._messages, queue).rmdir()

    @contextmanager
    def _changing(self, exchange: str) -> Iterator[list[Any]]:
        """Lend the bindings of an exchange to one process at a time, and write them when it has finished."""
        file = self._table_file(exchange)
        file.parent.mkdir(parents=True, exist_ok=True)
        with (file.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table = self.get_table(exchange)
            before = list(table)
            yield table
            if table != before:
                self._write(file, dumps(table))

    def _write(self, file: Path, text: str) -> None:
        """Make the file appear whole. No fsync: PostgreSQL holds the truth, a message is only a wake-up."""
        half = self._messages.parent / "writing" / uuid.uuid4().hex
        try:
            half.write_text(text)
            half.rename(file)
        except FileNotFoundError:  # the queue's first message, or somebody removed the folders
            half.parent.mkdir(parents=True, exist_ok=True)
            file.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(text)
            half.rename(file)
        except OSError:
            half.unlink(missing_ok=True)
            raise


class Transport(filesystem.Transport):
    """What ``filesystem://`` means once this module is imported."""

    Channel = Channel


TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"


def _is_file(broker_url: str) -> bool:
    return urlsplit(broker_url).scheme == SCHEME


def _folder(broker_url: str) -> Path:
    return Path(unquote(urlsplit(broker_url).path))


def _queue_folder(messages: Path, queue: str) -> Path:
    # Quoted, a name cannot leave the folder; "." and ".." hold nothing to quote and name no queue of ours.
    if not queue.strip("."):
        raise ChannelError(f"{queue!r} is no name for a queue")
    return messages / quote(queue, safe="@")


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".msg")]  # noqa: PTH208 - names are all it takes
    except FileNotFoundError:
        return []
