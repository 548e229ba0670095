"""The cases, in the order in which they are run."""

from bench.cases import large, latency, make_run, relay, settling, web, webhooks, whole
from bench.measuring import Case

_ROOMS = (web, relay, settling, whole, webhooks, latency, make_run, large)
CASES: dict[str, Case] = {case.name: case for room in _ROOMS for case in room.CASES}
