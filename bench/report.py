"""What comes out: a table per case, a JSON file, an SVG chart; each with the conditions under which it was measured."""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

import config
from bench.measuring import Outcome
from bench.stage import PEERS, SETTINGS

# Pixels of the chart per bar, and what title and axis take.
BAR, HEAD = 34, 220

# Of our packages and of the peers' those whose speed is measured.
OURS = ("flask", "gunicorn", "sqlalchemy", "psycopg2-binary", "celery", "kombu")
THEIRS = ("fastapi", "uvicorn", "asyncpg", "django", "djangorestframework", "django-celery-outbox", "procrastinate")


def conditions(rounds: int, seconds: float, remark: str, durability: dict[str, str]) -> dict[str, Any]:
    """Return what a reader must know to compare two runs."""
    return {
        "taken at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _output("git", "rev-parse", "--short", "HEAD") + ("+" if _output("git", "status", "--porcelain") else ""),
        "cores": os.cpu_count(),
        "load average at the end": round(os.getloadavg()[0], 2),
        "rounds": rounds,
        "seconds": seconds,
        "python": platform.python_version(),
        "postgresql": durability,
        "postgresql settings": SETTINGS,
        "versions": {name: version(name) for name in OURS} | _peers(),
        "remark": remark,
    }


def _output(*argv: str) -> str:
    done = subprocess.run(argv, cwd=config.ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _peers() -> dict[str, str]:
    script = "import sys; from importlib.metadata import version; print([(n, version(n)) for n in sys.argv[1:]])"
    found = _output(str(PEERS / "python"), "-c", script, *THEIRS) if (PEERS / "python").exists() else ""
    return dict(re.findall(r"\('([^']+)', '([^']+)'\)", found))


def show(outcome: Outcome) -> None:
    """Print one case."""
    print(f"\n{outcome.case}: {outcome.what} [{outcome.unit}], {outcome.seconds:.0f} s", flush=True)
    for name, values in outcome.samples.items():
        median, spread = _number(statistics.median(values)), f"{_number(min(values))} .. {_number(max(values))}"
        print(f"  {name:<36}{median:>12}   {spread:<24} n={len(values)}")
    for target, median, least, most in outcome.ratios():
        sign = "<=" if target.at_most else ">="
        asked = "" if target.to_close is None else f"asked {sign} {target.to_close:g}"
        goal = "" if target.goal is None else f", goal {target.goal:g}"
        value, spread = _number(median), f"{_number(least)} .. {_number(most)}"
        print(f"  = {target.name:<34}{value:>12}   {spread:<24} {asked}{goal}: {target.verdict(median)}")
    sys.stdout.flush()


def _number(value: float) -> str:
    # Three digits are more than a spread of some per cent deserves.
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004


def write_json(file: Path, outcomes: Sequence[Outcome], known: dict[str, Any]) -> None:
    """Write everything, every single sample included."""
    cases = [
        {
            "case": one.case,
            "what": one.what,
            "unit": one.unit,
            "seconds": round(one.seconds, 1),
            "samples": one.samples,
            "notes": one.notes,
            "targets": [
                {
                    "name": target.name,
                    "median": median,
                    "least": least,
                    "most": most,
                    "to_close": target.to_close,
                    "goal": target.goal,
                    "at_most": target.at_most,
                    "verdict": target.verdict(median),
                }
                for target, median, least, most in one.ratios()
            ],
        }
        for one in outcomes
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"conditions": known, "cases": cases}, indent=1) + "\n")


def write_chart(file: Path, outcomes: Sequence[Outcome], known: dict[str, Any]) -> None:
    """Draw how much of what is asked for was reached: 100 is what closes the issue, the longer the better."""
    reached: list[tuple[str, float, float | None]] = []
    for outcome in outcomes:
        for target, median, _least, _most in outcome.ratios():
            if target.to_close and median:
                share = target.to_close / median if target.at_most else median / target.to_close
                goal = target.goal and (target.to_close / target.goal if target.at_most else target.goal / target.to_close)
                reached.append((f"{outcome.case}: {target.name}", round(100 * share), goal and round(100 * goal)))
    said = f"{known['taken at']}, {known['commit']}, {known['cores']} cores, fsync on, {known['rounds']} rounds of "
    said += f"{known['seconds']:g} s. {known['remark']}"
    # js=[]: pygal's default loads a script from another host.
    chart = pygal.HorizontalBar(
        style=CleanStyle, js=[], title=f"Reached, % of what is asked\n{said}", height=HEAD + BAR * len(reached), width=1000
    )
    chart.x_labels = [name for name, _share, _goal in reached]
    chart.add("reached", [share for _name, share, _goal in reached])
    chart.add("goal", [goal for _name, _share, goal in reached])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(chart.render())
