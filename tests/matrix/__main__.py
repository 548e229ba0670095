"""``python -m tests.matrix``: what uses a server, once for each combination of servers; a table at the end."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

import click

from tests.matrix import trees
from tests.servers.debian import MissingPackageError

# The panel's own SQL is tested in tests/admin; what tests/browser adds is Chromium, which knows no server's version.
PYTEST = ("pytest", "-n", "2", "--ignore=tests/browser", "-m")


@dataclass(frozen=True)
class Combination:
    """Servers, as the variables of tests/servers (each a release and a program of it, or all), and what runs on them."""

    what: str
    servers: dict[str, tuple[str, str]]
    command: tuple[str, ...]


OLD = {"TEST_RABBITMQ": ("bookworm", ""), "TEST_POSTGRES": ("bookworm", "")}
NEW = {"TEST_RABBITMQ": ("trixie", "")}

# `make test` has shown whatever needs PostgreSQL 18 alone.
COMBINATIONS = {
    "oldest": Combination("RabbitMQ 3.10, PostgreSQL 15", OLD, (*PYTEST, "(postgres or rabbitmq) and not proof")),
    "newest": Combination("RabbitMQ 4.0, PostgreSQL 18", NEW, (*PYTEST, "rabbitmq and not proof")),
    "pooled": Combination(
        "RabbitMQ 4.0, PostgreSQL 18, PgBouncer",
        NEW | {"TEST_PGBOUNCER": ("trixie", "pgbouncer")},
        (*PYTEST, "(postgres or rabbitmq) and not proof"),
    ),
    "cluster": Combination("RabbitMQ 4.0, three nodes, one killed", NEW, ("tests.soak", "cluster")),
}


@dataclass
class Row:
    """What became of one combination."""

    what: str
    result: str
    minutes: float = 0
    fine: bool = False


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--only", type=click.Choice(list(COMBINATIONS)), multiple=True, help="Only these; without it all.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def main(only: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Run the tests on other servers. What follows goes to each command: files, -k, -m proof.

    Exit code 0 when every combination was there and passed.
    """
    rows = [run(COMBINATIONS[name], words) for name in only or COMBINATIONS]
    click.echo("\n| servers | result | minutes |\n| --- | --- | --- |")
    for row in rows:
        click.echo(f"| {row.what} | {row.result} | {row.minutes:.1f} |")
    sys.exit(not all(row.fine for row in rows))


def run(combination: Combination, words: tuple[str, ...] = ()) -> Row:
    """Run one combination; its servers are fetched first where they are missing."""
    click.echo(f"\n== {combination.what}")
    try:
        servers = {name: str(trees.programs(release) / program) for name, (release, program) in combination.servers.items()}
    except MissingPackageError as error:
        click.echo(f"cannot be had here: {error}")
        return Row(combination.what, f"not run: {error}")
    # TMPDIR: of all folders for temporary files, /tmp is the one that the trees share. CI: what is missing is no skip.
    environment = {**os.environ, **servers, "CI": "true", "TMPDIR": "/tmp", "PYTHONUNBUFFERED": "1"}
    argv = [sys.executable, "-m", *combination.command, *words]
    began, last = time.monotonic(), ""
    with subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            click.echo(line, nl=False)
            last = line.strip() or last
    return Row(combination.what, counted(last), (time.monotonic() - began) / 60, child.returncode == 0)


def counted(last: str) -> str:
    """Return the counts of pytest's last line; a scenario's is its verdict."""
    return ", ".join(re.findall(r"\d+ (?:passed|failed|errors?|skipped)", last)) or last


if __name__ == "__main__":
    main()
