"""Door: ``flask outbox``."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import click
import structlog
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import SQLAlchemyError

from heartbeat import Heart
from orderapp import exposition, tables
from orderapp.audit import terminal_actor
from orderapp.database import LAST_ID, is_outage, reading
from orderapp.errors import OrderAppError
from orderapp.loop import StopSignal, run
from orderapp.outbox import broker, dead_letters, parking, queries
from orderapp.outbox.announcing import EventRelay
from orderapp.outbox.envelopes import Envelopes
from orderapp.outbox.receipts import BrokerOutageError
from orderapp.outbox.relaying import GATHER, Relay
from orderapp.queues import DEAD_QUEUE, EVENTS, QUEUE_NAMES

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
    stop = StopSignal()
    stop.install()
    if once:
        _drain(_relays(stop))
        return
    relays = _relays(stop, GATHER)
    exposition.listen(current_app.extensions["settings"])
    log.info("relay started", queues=list(_lanes()))
    steps = [Steps(one) for one in relays]
    run(lambda: min([step() for step in steps]), stop, Heart("relay").beat)
    for one in relays:
        one.close()
    log.info("relay stopped")


def _relays(stop: StopSignal, gather: float = 0) -> list[Relay]:
    """Return the relay of tasks and, where events go to other services, theirs."""
    settings = current_app.extensions["settings"]
    url, exchange = settings.celery_broker_url, settings.events_exchange
    envelopes = Envelopes(current_app.extensions["celery"])
    relays = [Relay(broker.publisher_for(url), envelopes, stopping=stop.is_set, gather=gather)]
    if exchange:
        publisher = broker.ExchangePublisher(url, exchange)
        relays.append(EventRelay(publisher, exchange, current_app.extensions["event_bodies"], stop.is_set, gather))
    return relays


def _lanes() -> tuple[str, ...]:
    return (*QUEUE_NAMES, EVENTS.queue) if current_app.extensions["settings"].events_exchange else QUEUE_NAMES


def _drain(relays: Sequence[Relay]) -> None:
    relayed = 0
    for one in relays:
        while count := one.relay_once():
            relayed += count
        one.close()
    parked = sum(one.parked for one in relays)
    with reading() as session:
        left = sum(row["due"] for row in queries.status(session, _lanes()) if row["queue"] in _lanes())
    click.echo(f"{relayed - parked} message(s) relayed, {parked} parked, {left} due left.")
    if left:
        raise click.ClickException("The broker did not take everything; see the log above.")


class Steps:
    """The relay's loop: calls ``relay_once``, says how long to wait, and words a fault once, however long it lasts."""

    def __init__(self, process: Relay) -> None:
        self._process = process
        self._fault = ""

    def __call__(self) -> float:
        """Relay what is due; returns the seconds until the next call."""
        if self._process.is_waiting:
            return POLL
        try:
            pause = 0 if self._process.relay_once() else POLL
        except Exception as error:  # noqa: BLE001
            # The log's reader sees the bug. Going on is right: another queue, or the next row, may be fine.
            self._note(error)
            return OUTAGE_POLL
        if self._fault:
            log.info("relay goes on", after=self._fault)
            self._fault = ""
        return pause

    def _note(self, error: Exception) -> None:
        is_away = isinstance(error, SQLAlchemyError) and is_outage(error)
        fault = "database unreachable" if is_away else f"{type(error).__name__}: {error}"
        if fault == self._fault:
            return
        self._fault = fault
        if is_away:
            log.warning("database unreachable", fault=_first_line(error))
        else:
            log.error("relay failed", exc_info=error)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


@outbox_cli.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show per queue what is due, waits for later or is parked; and how many messages are dead."""
    with reading() as session:
        rows = queries.status(session, _lanes())
    messages, fault = _dead_letters()
    if as_json:
        rows.append({"queue": DEAD_QUEUE, "messages": messages, "fault": fault})
    tables.show(rows, as_json=as_json, empty="")
    if not as_json:
        click.echo(f"{DEAD_QUEUE}: {fault or f'{messages} message(s)'}")


def _dead_letters() -> tuple[int | None, str | None]:
    """Return how many there are, or what keeps us from knowing: what the outbox holds is told all the same."""
    try:
        return dead_letters.count(_rabbitmq_url()), None
    except BrokerOutageError as error:
        return None, f"broker unreachable ({error})"
    except NoDeadLettersError as error:
        return None, str(error)


class NoDeadLettersError(OrderAppError):
    """The files of `make run` keep no dead letters: a refused message is in the log only."""


def _rabbitmq_url() -> str:
    url: str = current_app.extensions["settings"].celery_broker_url
    if url.startswith("filesystem://"):
        raise NoDeadLettersError(str(NoDeadLettersError.__doc__))
    return url


@outbox_cli.command("dead")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def dead(as_json: bool) -> None:
    """Count the messages that no worker could take, the oldest thousand by reason. They stay where they are."""
    try:
        found = dead_letters.look(_rabbitmq_url(), current_app.extensions["celery"].tasks)
    except BrokerOutageError as error:
        raise click.ClickException(f"broker unreachable ({error})") from error
    except NoDeadLettersError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(current_app.json.dumps(asdict(found)))
        return
    if found.reasons:
        tables.show([asdict(reason) for reason in found.reasons], as_json=False, empty="")
    click.echo(f"{found.messages} message(s) in {DEAD_QUEUE}, {found.looked_at} looked at.")


@outbox_cli.command("parked")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def parked(limit: int, as_json: bool) -> None:
    """List messages that could not be published, with the reason."""
    with reading() as session:
        rows = queries.parked(session, limit)
    tables.show(rows, as_json=as_json, empty="Nothing is parked.")


@outbox_cli.command("retry")
@click.argument("message_ids", type=click.IntRange(1, LAST_ID), nargs=-1, required=True)
@click.option("--reason", help="Why, for the audit log.")
def retry(message_ids: tuple[int, ...], reason: str | None) -> None:
    """Let the relay try parked messages again."""
    click.echo(f"{_or_refuse(parking.retry_parked, message_ids, reason)} message(s) due again.")


@outbox_cli.command("discard")
@click.argument("message_ids", type=click.IntRange(1, LAST_ID), nargs=-1, required=True)
@click.option("--reason", help="Why, for the audit log.")
def discard(message_ids: tuple[int, ...], reason: str | None) -> None:
    """Delete parked messages for good."""
    click.echo(f"{_or_refuse(parking.discard_parked, message_ids, reason)} message(s) discarded.")


def _or_refuse(act: Callable[[list[int], str, str | None], int], message_ids: tuple[int, ...], reason: str | None) -> int:
    try:
        return act(list(message_ids), terminal_actor(), reason)
    except OrderAppError as error:
        raise click.ClickException(str(error)) from error
