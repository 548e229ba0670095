"""``python -m tests.simulation``."""

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import click

from tests.servers import postgres
from tests.servers.environment import forget_the_shell
from tests.simulation.seeds import run_seed
from tests.simulation.stage import Stage, a_stage
from tests.simulation.steps import Pair, count_passages, pairs, run_pairs

PREFIX = "orderapp-simulation-"

# Seconds between two lines of progress.
TELL = 10


@click.group()
def main() -> None:
    """Run the simulation on a PostgreSQL of its own; exit code 0 when nothing is wrong."""


@main.command()
@click.option("--seeds", type=int, default=1000, show_default=True, help="How many.")
@click.option("--first", type=int, help="The first seed; by chance otherwise.")
@click.option("--seconds", type=float, default=float("inf"), help="Stop after that long.")
def seeds(seeds: int, first: int | None, seconds: float) -> None:
    """Run so many seeds, one after the other, until one is wrong."""
    first = secrets.randbelow(10**9) if first is None else first
    began = told = time.monotonic()
    with on_a_stage() as stage:
        click.echo(f"seeds from {first}")
        for number in range(seeds):
            run = run_seed(stage, str(first + number))
            if run.faults:
                click.echo(run.told())
                sys.exit(1)
            now = time.monotonic()
            if now - told > TELL or now - began > seconds or number == seeds - 1:
                told = now
                click.echo(f"{number + 1} seeds in {now - began:.0f} s, all clean")
            if now - began > seconds:
                return


@main.command()
@click.argument("words", nargs=-1)
@click.option("--seed", type=int, help="Decides the order; by chance otherwise.")
@click.option("--seconds", type=float, default=float("inf"), help="Stop after that long.")
@click.option("--part", type=(int, int), default=(1, 1), help="Only the i-th of n parts, such as 1 4.")
def steps(words: tuple[str, ...], seed: int | None, seconds: float, part: tuple[int, int]) -> None:
    """Fail each passage of a boundary in the story in each way; or only one: ``steps 17 hang always``."""
    seed = secrets.randbelow(10**9) if seed is None else seed
    with on_a_stage() as stage:
        if words:
            chosen = [Pair(int(words[0]), words[1], "always" in words)]
        else:
            passages = count_passages(stage)
            chosen = list(pairs(len(passages), real=True))
            Random(seed).shuffle(chosen)
            chosen = chosen[part[0] - 1 :: part[1]]
            click.echo(f"{len(passages)} passages, {len(chosen)} pairs, seed {seed}")
        sys.exit(not run_pairs(stage, chosen, seconds, click.echo))


@contextmanager
def on_a_stage() -> Iterator[Stage]:
    """Give a stage on a server of its own."""
    forget_the_shell()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    server, url = postgres.start_server(folder)
    try:
        postgres.migrate(url)
        with a_stage(url) as stage:
            yield stage
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
