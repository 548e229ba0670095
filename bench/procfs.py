"""What the kernel says of processes."""

import re
from pathlib import Path


def resident(pid: int) -> float:
    """Return the megabytes of memory that a process holds, what it shares with its parent included."""
    kilobytes = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes[1]) / 1024 if kilobytes else 0.0
