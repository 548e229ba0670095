"""``python -m bench [CASE ...]``: runs the cases, prints the tables, writes bench.json and bench.svg."""

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import Any

import config
from bench import load
from bench.cases import CASES
from bench.measuring import Outcome, run_case
from bench.report import conditions, show, write_chart, write_json
from bench.stage import Stage
from tests.servers.environment import forget_the_shell

# Three rounds of five seconds are the most that leaves every case below two minutes.
ROUNDS, SECONDS = 3, 5.0

RESULTS = config.ROOT / "var" / "bench"


def main() -> int:
    """Return 0 unless nothing at all could be measured; a missed target is a finding, no failure."""
    chosen = _arguments()
    logging.getLogger().setLevel(logging.WARNING)
    forget_the_shell()
    # A kill asks for an orderly end: servers and scratch folders go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes: list[Outcome] = []
    known: dict[str, Any] = {}
    load.ensure_wrk()
    try:
        with Stage() as stage:
            for name in chosen.cases or [case.name for case in CASES.values() if case.large == chosen.large]:
                case = CASES[name]
                outcomes.append(Outcome(case.name, case.what, case.unit))
                try:
                    run_case(case, outcomes[-1], stage, chosen.rounds, chosen.seconds)
                finally:  # a run that is cut short leaves what it has
                    show(outcomes[-1])
                    known = conditions(chosen.rounds, chosen.seconds, chosen.remark, stage.durability())
                    write_json(chosen.json, outcomes, known)
                    write_chart(chosen.svg, outcomes, known)
    except KeyboardInterrupt:
        print("\nstopped; what was measured so far is written", flush=True)
    print(f"\n{chosen.json}\n{chosen.svg}\nconditions: {known}")
    return 0 if any(outcome.samples for outcome in outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[[], *CASES], help=", ".join(CASES))
    parser.add_argument("--large", action="store_true", help="the cases of `make bench-large` instead")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="per contestant and round")
    parser.add_argument("--json", type=Path, default=RESULTS / "bench.json")
    parser.add_argument("--svg", type=Path, default=RESULTS / "bench.svg")
    parser.add_argument("--remark", default="", help="what a reader should know, such as: shared machine")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
