"""Door: ``flask drill``."""

import secrets

import click
from flask import current_app
from flask.cli import with_appcontext

from orderapp import tables
from orderapp.drill import rehearsing
from orderapp.drill.cast import CastError
from orderapp.drill.scratch import NoScratchError

# What a script sees: a bad verdict must not be taken for "could not be held".
BAD, COULD_NOT_RUN = 1, 2


@click.command("drill")
@click.option("--seconds", type=click.FloatRange(1), default=30, show_default=True, help="How long orders come in.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=20, show_default=True, help="Orders per second.")
@click.option("--every", type=click.FloatRange(1), default=5, show_default=True, help="Seconds from kill to kill.")
@click.option("--seed", type=int, help="Repeats a drill's orders and victims; by default random.")
@click.option("--management", metavar="URL", help="RabbitMQ's management API, if not at port 15672 of the broker's host.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def drill(*, seconds: float, rate: float, every: float, seed: int | None, management: str | None, as_json: bool) -> None:
    """Rehearse crashes on these servers, in a database and a virtual host made for it and removed afterwards.

    All processes of the service run here and are killed in turn while orders come in. Needs a role with CREATEDB and a broker's
    user with the tag administrator. Exit code 0: all settled, nothing at odds; 1: not so; 2: it could not be held.
    """
    settings = current_app.extensions["settings"]
    if settings.app_env == "production":
        raise click.ClickException("APP_ENV is production: a drill takes processor time and connections from it; use staging.")
    seed = secrets.randbits(32) if seed is None else seed
    tell = (lambda _words: None) if as_json else click.echo
    try:
        verdict = rehearsing.rehearse(rehearsing.Drill(seconds, rate, every, seed), settings, management, tell)
    except (NoScratchError, CastError) as error:
        click.echo(f"The drill could not be held: {error}", err=True)
        raise SystemExit(COULD_NOT_RUN) from error
    _print(verdict, seed, as_json=as_json)
    if not verdict.good:
        raise SystemExit(BAD)


def _print(verdict: rehearsing.Verdict, seed: int, *, as_json: bool) -> None:
    orders = {name: verdict.orders[name] for name in ("accepted", "unanswered", "lost", "confirmed", "failed", "open")}
    row = {"kills": verdict.kills, **orders, "violations": len(verdict.violations)}
    if as_json:
        about = {"good": verdict.good, "seed": seed, "conserved": verdict.orders["conserved"]}
        click.echo(current_app.json.dumps(row | about | {"violations": verdict.violations}))
        return
    tables.show([row], as_json=False, empty="")
    for one in verdict.violations:
        click.echo(f"{one['name']}: {one['sentence']}")
    words = "good: all settled, stock and ledger agree, audit clean" if verdict.good else "NOT good"
    click.echo(f"{words}; --seed {seed} repeats it.")
