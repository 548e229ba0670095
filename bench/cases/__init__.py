"""The cases, in the order in which they are run."""

from bench.cases import latency, relay, settling, web, whole
from bench.measuring import Case

CASES: dict[str, Case] = {case.name: case for case in (*web.CASES, *relay.CASES, *settling.CASES, *whole.CASES, *latency.CASES)}
