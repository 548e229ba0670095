"""Door: ``flask outbox``."""

from functools import partial

import click
import structlog
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from orderapp import tables
from orderapp.database import is_outage, reading
from orderapp.errors import NotFoundError
from orderapp.loop import StopSignal, run
from orderapp.outbox import broker, parking, queries
from orderapp.outbox.relaying import Relay
from orderapp.queues import QUEUE_NAMES

log = structlog.get_logger(__name__)

# Seconds between two polls. Polling every 20 ms cost 4 % of a core and gave 20 ms at the 99th percentile; 10 ms halves that.
POLL = 0.01

# Seconds between two polls of a database that does not answer, or after a fault of our own.
OUTAGE_POLL = 0.25

outbox_cli = AppGroup("outbox", help="Messages on their way to the broker.")


@outbox_cli.command("relay")
@click.option("--once", is_flag=True, help="Drain what is due and exit.")
def relay(once: bool) -> None:
    """Publish what is due, until SIGTERM; any number may run side by side."""
    publisher = broker.publisher_for(current_app.extensions["settings"].celery_broker_url)
    process = Relay(publisher, partial(broker.build_message, current_app.extensions["celery"]))
    if once:
        _drain(process)
        return
    stop = StopSignal()
    stop.install()
    log.info("relay started", queues=list(QUEUE_NAMES))
    run(partial(_step, process), stop)
    process.close()
    log.info("relay stopped")


def _drain(process: Relay) -> None:
    relayed = 0
    while count := process.relay_once():
        relayed += count
    process.close()
    with reading() as session:
        left = sum(row["due"] for row in queries.status(session, QUEUE_NAMES))
    click.echo(f"{relayed} message(s) relayed, {left} due left.")
    if left:
        raise click.ClickException("The broker did not take everything; see the log above.")


def _step(process: Relay) -> float:
    try:
        return 0 if process.relay_once() else POLL
    except SQLAlchemyError as error:
        if not is_outage(error):
            log.exception("relay failed")
        else:
            log.warning("database unreachable", fault=type(error).__name__)
    except Exception:
        # The log's reader sees the bug. Going on is right: another queue, or the next row, may be fine.
        log.exception("relay failed")
    return OUTAGE_POLL


@outbox_cli.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show per queue what is due, waits for later or is parked."""
    with reading() as session:
        rows = queries.status(session, QUEUE_NAMES)
    tables.show(rows, as_json=as_json, empty="")


@outbox_cli.command("parked")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def parked(limit: int, as_json: bool) -> None:
    """List messages that could not be published, with the reason."""
    with reading() as session:
        rows = queries.parked(session, limit)
    tables.show(rows, as_json=as_json, empty="Nothing is parked.")


@outbox_cli.command("retry")
@click.argument("message_ids", type=int, nargs=-1, required=True)
def retry(message_ids: tuple[int, ...]) -> None:
    """Let the relay try parked messages again."""
    click.echo(f"{_or_refuse(parking.retry_parked, message_ids)} message(s) due again.")


@outbox_cli.command("discard")
@click.argument("message_ids", type=int, nargs=-1, required=True)
def discard(message_ids: tuple[int, ...]) -> None:
    """Delete parked messages for good."""
    click.echo(f"{_or_refuse(parking.discard_parked, message_ids)} message(s) discarded.")


def _or_refuse(act: object, message_ids: tuple[int, ...]) -> int:
    try:
        return act(list(message_ids))  # type: ignore[operator, no-any-return]
    except NotFoundError as error:
        raise click.ClickException(str(error)) from error
