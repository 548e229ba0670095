"""A TCP proxy between a process and a server: what passes is swallowed, delayed, chopped or broken as a test says."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from psycopg2.extensions import parse_dsn

from tests.servers.waiting import free_port, wait_until

T = TypeVar("T")

# Bytes taken at a time.
CHUNK = 64 * 1024

# Seconds for a change to be made; each is a matter of microseconds, unless the machine does something else.
CHANGE = 30

# SO_LINGER on, for 0 s: the connection ends with a reset and not with a farewell.
ABRUPT = struct.pack("ii", 1, 0)

# A host and port, or a Unix socket, as PostgreSQL's of the tests.
Target = tuple[str, int] | Path


class Pair:
    """A client's connection and the one that stands for it at the server; while it does not pass, nothing does."""

    def __init__(self, client: asyncio.StreamWriter, *, passing: bool) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.passing = asyncio.Event()
        if passing:
            self.passing.set()

    def reset(self) -> None:
        """Break both connections; each side hears of it, unless nothing passes to it."""
        self.reset_server()
        _abort(self.client)

    def reset_server(self) -> None:
        """Break the server's connection."""
        if self.server is not None:
            _abort(self.server)


class Link:
    """The way from one process to one server. It is well until a fault is called for, and again after ``heal``."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: Target, address: str) -> None:
        self.port = free_port()
        self._address = address
        self._loop = loop
        self._target = target
        self._listener: asyncio.Server | None = None
        self._pairs: set[Pair] = set()
        self._passing, self._delay, self._slice = True, 0.0, CHUNK
        self._do(self._listen())

    @property
    def host(self) -> str:
        """Return host:port, where the client is to connect."""
        return f"{self._address}:{self.port}"

    @property
    def connections(self) -> int:
        """Return how many connections there are."""
        return len(self._pairs)

    @property
    def is_ill(self) -> bool:
        """Tell whether something is wrong with it, or with a connection that it had."""
        well = self._passing and not self._delay and self._slice == CHUNK
        return not (well and all(pair.passing.is_set() for pair in list(self._pairs)))

    def swallow(self) -> None:
        """Let nothing through in either direction, neither data nor a farewell: a black hole. New connections fall into it."""
        self._do(self._hold(new=False))

    def half_open(self) -> None:
        """Break what is connected on the server's side only: the client is not told. New connections are well."""
        self._do(self._hold(new=True, reset=True))

    def reset(self) -> None:
        """Break what is connected, on both sides. New connections are well."""
        self._do(self._reset())

    def refuse(self) -> None:
        """Break what is connected and refuse new connections, as if the server were down."""
        self._do(self._refuse())

    def slow(self, seconds: float) -> None:
        """Keep whatever passes for so long, in each direction."""
        self._delay = seconds

    def chop(self, size: int) -> None:
        """Let data pass in pieces of so many bytes: no reader gets a whole message at once."""
        self._slice = size

    def heal(self) -> None:
        """Let everything pass again; what was swallowed comes late, what was half open is reset."""
        self._do(self._heal())

    def heal_after(self, seconds: float) -> None:
        """Let everything pass again so many seconds from now, whatever the caller does meanwhile."""
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._pass_all)

    def _do(self, change: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(change, self._loop).result(CHANGE)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, self._address, self.port)

    async def _hold(self, *, new: bool, reset: bool = False) -> None:
        self._passing = new
        for pair in self._pairs:
            pair.passing.clear()
            if reset:
                pair.reset_server()

    async def _reset(self) -> None:
        for pair in self._pairs:
            pair.passing.set()
            pair.reset()

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._reset()

    async def _heal(self) -> None:
        self._pass_all()
        await self._listen()

    def _pass_all(self) -> None:
        self._passing, self._delay, self._slice = True, 0.0, CHUNK
        for pair in self._pairs:
            if pair.server is not None and pair.server.is_closing():
                pair.reset()  # half open: now the client hears of it
            pair.passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = Pair(writer, passing=self._passing)
        self._pairs.add(pair)
        try:
            await pair.passing.wait()
            from_server, pair.server = await self._connect()
            await asyncio.gather(self._pump(reader, pair.server, pair), self._pump(from_server, writer, pair))
        except OSError:
            pass  # no server is there, or one side has gone: the other one is told below
        finally:
            pair.reset()
            self._pairs.discard(pair)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection(*self._target)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: Pair) -> None:
        """Carry what one side says to the other, to its end; a broken connection is an end that is told to both."""
        data = b""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self._delay)
                size = self._slice
                for start in range(0, len(data), size):
                    await pair.passing.wait()
                    writer.write(data[start : start + size])
                    await writer.drain()
        await pair.passing.wait()  # a farewell is swallowed like everything else
        with suppress(OSError):
            writer.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):  # it has gone by itself
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
    writer.transport.abort()


class Network:
    """All links of one test, and the thread in which they live."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.links: dict[str, Link] = {}

    def link(self, name: str, target: Target, address: str = "127.0.0.1") -> Link:
        """Return a new link to this server, which listens at this address of our own."""
        link = self.links[name] = Link(self._loop, target, address)
        return link

    def wires(self, process: str, environment: Mapping[str, str], *servers: str) -> dict[str, str]:
        """Return the settings with which a process reaches these servers of the environment, each over a link of its own."""
        settings: dict[str, str] = {}
        for server in servers:
            name = f"{process} - {server}"
            if server == "PostgreSQL":
                _, settings["DATABASE_URL"] = self.link_to_database(name, environment["DATABASE_URL"])
            elif server == "RabbitMQ":
                url = urlsplit(environment["CELERY_BROKER_URL"])
                link = self.link(name, (str(url.hostname), url.port or 5672))
                user, at, _ = url.netloc.rpartition("@")
                settings["CELERY_BROKER_URL"] = url._replace(netloc=f"{user}{at}{link.host}").geturl()
            else:
                url = urlsplit(environment["WEBHOOK_URL"])
                link = self.link(name, (str(url.hostname), url.port or 80))
                settings |= {"WEBHOOK_URL": url._replace(netloc=link.host).geturl(), "WEBHOOK_ALLOWED_HOSTS": link.host}
        return settings

    def link_to_database(self, name: str, url: str, address: str = "127.0.0.1") -> tuple[Link, str]:
        """Return a new link to this database's server, and the URL of the database over it."""
        dsn = parse_dsn(url)
        host, port = dsn.pop("host"), dsn.pop("port", "5432")
        link = self.link(name, Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, int(port)), address)
        return link, f"postgresql://{link.host}/?{urlencode(dsn)}"

    def heal(self) -> None:
        """Let everything pass everywhere."""
        for link in self.links.values():
            link.heal()

    def close(self) -> None:
        """End it: all links refuse from now on."""
        for link in self.links.values():
            link.refuse()
        wait_until(lambda: not any(link.connections for link in self.links.values()), CHANGE, "the end of all connections")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def a_network() -> Iterator[Network]:
    """Give a network that ends with the block."""
    network = Network()
    try:
        yield network
    finally:
        network.close()
