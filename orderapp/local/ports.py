"""Looks whether the ports are free before anything is started."""

import errno
import os
import socket
from dataclasses import dataclass

# Ports above the taken one that are tried for a suggestion.
SUGGESTIONS = 50


@dataclass(frozen=True)
class Port:
    """One port, and the variable that moves it."""

    variable: str
    host: str
    number: int
    serves: str


def port_faults(ports: list[Port]) -> list[str]:
    """Return a line for every port that cannot be used, each with the command that moves it."""
    faults = []
    numbers: dict[int, Port] = {}
    for port in ports:
        twin = numbers.setdefault(port.number, port)
        fault = f"is wanted by {twin.variable}, too" if twin is not port else _fault(port.host, port.number)
        if fault:
            faults.append(f"{port.variable}: port {port.number} for {port.serves} {fault}; {_remedy(port, numbers)}")
    return faults


def _fault(host: str, number: int) -> str | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that has just ended is no owner
        try:
            probe.bind((host, number))
            # Linux lets two sockets with that option share a port until one listens.
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken by another program"
            return f"cannot be used on {host} ({os.strerror(error.errno) if error.errno else error})"
    return None


def _remedy(port: Port, wanted: dict[int, Port]) -> str:
    above = range(max(port.number, 1024) + 1, port.number + SUGGESTIONS)
    free = next((number for number in above if number not in wanted and _fault(port.host, number) is None), None)
    return f"another one: {port.variable}={free} make run" if free else f"set {port.variable} to a free one"
