"""The doctor's round: settings, database, broker, the way out to receivers. Names what is wrong and what to do."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

import config
from orderapp.database import is_outage, reading
from orderapp.monitoring import broker_checks, database_checks
from orderapp.monitoring.checkup import Finding, ok, one_by_one, together, warning
from orderapp.monitoring.database_checks import DatabaseCheck
from orderapp.monitoring.doctor import Management
from orderapp.webhooks import queries as webhooks
from orderapp.webhooks.target import fault_on_the_way

# Hosts that are tried, at once: more would take as long, and a thread each.
MOST_HOSTS = 20


def examine(app: Flask, settings: config.Settings, management_url: str | None = None) -> list[Finding]:
    """Return all findings. What is not reachable is one finding, not one for everything behind it."""
    found = list(one_by_one(app, [("secrets", partial(secrets, settings)), ("mode", partial(mode, settings))]))
    first, *others = [(name, partial(_asked, check, settings)) for name, check in database_checks.CHECKS]
    database = list(one_by_one(app, [first]))
    reached = _is_well(database)
    found += database + (list(one_by_one(app, others)) if reached else [])
    found += _broker(app, settings, management_url)
    return found + _way_out(app, settings, endpoints_are_known=reached)


def _is_well(findings: Sequence[Finding]) -> bool:
    return all(finding.state != "fault" for finding in findings)


def _asked(check: DatabaseCheck, settings: config.Settings) -> Iterator[Finding]:
    try:
        with reading() as session:
            yield from check(session, settings)
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        yield database_checks.unreachable(error)


def secrets(settings: config.Settings) -> Iterator[Finding]:
    """Check that no secret is one that everybody knows."""
    values = {name.upper(): value for name, value in asdict(settings).items()}
    remedies = {setting.name: setting.remedy for setting in config.SETTINGS}
    known = config.default_secrets(values)
    for name, said in known:
        # In production the service, and with it the doctor, would not have started.
        yield warning("secrets", f"{name} {said}; production refuses it", remedies[name])
    if not known:
        yield ok("secrets", "none is a default")


def mode(settings: config.Settings) -> Iterator[Finding]:
    """Check that this is no try-it installation and that nothing fails on purpose."""
    found = []
    stack = config.running_stack()
    remedy = "fine for trying; for more set DATABASE_URL and CELERY_BROKER_URL (docs/install.md)"
    if settings.celery_broker_url.startswith("filesystem://"):
        found.append(warning("mode", "the file broker of `make run`: slow, and it may lose messages at a kill", remedy))
    if "DATABASE_URL" in stack and config.psycopg2_url(stack["DATABASE_URL"]) == settings.database_url:
        found.append(warning("mode", "the stack of `make run`: its data is in var/ and ends with that folder", remedy))
    if settings.failpoints:
        found.append(warning("mode", "FAILPOINTS is set: processes fail on purpose", "unset it"))
    yield from found or [ok("mode", f"APP_ENV={settings.app_env}")]


def _broker(app: Flask, settings: config.Settings, management_url: str | None) -> list[Finding]:
    url, exchange = settings.celery_broker_url, settings.events_exchange
    if url.startswith("filesystem://"):
        return []  # mode() has said so; files have neither queues nor confirms
    api = Management(url, management_url)
    found = list(one_by_one(app, [("broker", partial(broker_checks.server, url))]))
    # Asked even when AMQP does not answer: alarms and nodes that are down may be why.
    over_amqp = [("queues", partial(broker_checks.queues, url)), ("confirms", partial(broker_checks.confirms, url))]
    if exchange:
        over_amqp.append(("exchange", partial(broker_checks.exchange, url, exchange)))
    checks = [*(over_amqp if _is_well(found) else []), ("management", partial(broker_checks.management, api))]
    return found + list(one_by_one(app, checks))


def _way_out(app: Flask, settings: config.Settings, *, endpoints_are_known: bool) -> list[Finding]:
    """Try the hosts of all endpoints. That one does not answer may be its own fault; that none does is ours to mend."""
    hosts = _hosts(settings, endpoints_are_known=endpoints_are_known)
    tried = list(hosts)[:MOST_HOSTS]
    checks = [(f"webhooks to {host}", partial(reachable, host, hosts[host], settings.webhook_allowed_hosts)) for host in tried]
    found = list(together(app, checks))
    if found and not any(finding.state == "ok" for finding in found):
        found = [replace(finding, state="fault") for finding in found]
    if len(hosts) > len(tried):
        found.append(ok("webhooks", f"{len(hosts) - len(tried)} more host(s) not tried"))
    return found or [ok("webhooks", "no endpoint, so there is nowhere to send them")]


def _hosts(settings: config.Settings, *, endpoints_are_known: bool) -> dict[str, str]:
    """Return one URL per scheme, host and port to which webhooks are sent."""
    urls = [settings.webhook_url] if settings.webhook_url else []
    if endpoints_are_known:
        # Without its table there are none, and the check of the migration has said so.
        with suppress(SQLAlchemyError), reading() as session:
            urls += [one.url for one in webhooks.endpoints(session) if one.active and one.url]
    return {f"{urlsplit(url).scheme}://{urlsplit(url).netloc.rpartition('@')[2]}": url for url in reversed(urls)}


def reachable(host: str, url: str, allowed_hosts: frozenset[str]) -> Iterator[Finding]:
    """Check that a connection can be made, with TLS where the URL says so, to an address that may be connected to."""
    said = fault_on_the_way(url, allowed_hosts)
    remedy = "see whether a firewall, the name server or the certificate is in the way; deliveries are tried for three days"
    yield warning(f"webhooks to {host}", said, remedy) if said else ok(f"webhooks to {host}", "a connection can be made")
