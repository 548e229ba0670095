"""``python -m tests.mutations``: which piece of the proof notices which missing guard, as a table."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

import config
from tests.mutations.mutants import MUTANTS, Mutant

# What is no part of the program, or large.
LEFT_OUT = (".git", ".venv", "var", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis")

# Seconds for one piece; one that hangs without its guard has noticed, too.
PATIENCE = 240

# Characters of what a piece said that tell it from others.
MOST = 90

CONTROL = Mutant("nothing is missing", "README.md", "", "", " ".join(sorted({one.named for one in MUTANTS})))


@click.command()
@click.option("--only", default="", help="Only guards whose name holds this; 'missing' runs the tree as it is.")
@click.option("--seconds", type=int, default=45, show_default=True, help="For the seeds, and for the steps.")
def main(only: str, seconds: int) -> None:
    """Run the proof without each guard; exit code 0 when each is noticed by some piece, and the tree as it is by none."""
    pieces = {
        "seeds": f"tests.simulation seeds --first 1 --seconds {seconds}",
        "steps": f"tests.simulation steps --seed 1 --seconds {seconds}",
        "named tests": "pytest -x -p no:cacheprovider -m",
    }
    click.echo("| without | seeds | steps | named tests |\n| --- | --- | --- | --- |")
    fine = True
    for mutant in (CONTROL, *MUTANTS):
        if only not in mutant.guard:
            continue
        noticed = [_noticed(mutant, piece) for piece in pieces.values()]
        fine &= any(noticed) is (mutant is not CONTROL)
        click.echo(f"| {mutant.guard} | {' | '.join(what or '-' for what in noticed)} |")
    sys.exit(not fine)


def _noticed(mutant: Mutant, piece: str) -> str:
    """Run one piece on a copy of the tree without the guard; returns what it said, nothing when it noticed nothing."""
    words = piece.split()
    if words[-1] == "-m":
        words += ["proof or not proof", *mutant.named.split()]
    with tempfile.TemporaryDirectory(prefix="orderapp-mutant-") as folder:
        root = Path(folder) / "tree"
        shutil.copytree(config.ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        if mutant is not CONTROL:
            mutant.apply(root)
        try:
            done = subprocess.run(
                [sys.executable, "-m", *words], cwd=root, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return "hangs"
    return _said(done.stdout + done.stderr) if done.returncode else ""


def _said(output: str) -> str:
    """Return the line that names the fault."""
    lines = [line.strip() for line in output.splitlines()]
    if "WRONG:" in lines:
        return lines[lines.index("WRONG:") + 1][:MOST]
    failed = [line.split(" - ")[0].removeprefix("FAILED ") for line in lines if line.startswith(("FAILED", "ERROR"))]
    last = [line.removeprefix("AssertionError: ") for line in lines if line and not line.startswith("again: ")][-1:]
    return f"`{failed[0]}`" if failed else "".join(last)[:MOST] or "failed"


main()
