"""Which sockets a process has open, as the kernel tells."""

import re
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"  # a socket's state in /proc/net/tcp


def sockets(pid: int) -> set[str]:
    """Return the inodes of the sockets that a process has open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            match = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
            if match:
                found.add(match[1])
    return found


def listeners() -> set[str]:
    """Return the inodes of all TCP sockets that wait for connections; these a master and its workers share on purpose."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == LISTENING}


def waiting_at(port: int) -> int:
    """Return how many connections to a port wait to be taken; the kernel shows it as the listener's receive queue."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].partition(":")[2], 16) for row in rows if row[3] == LISTENING and row[1].endswith(f":{port:04X}"))
