"""Door: reports over Celery."""

from typing import Any

import structlog
from celery import shared_task
from flask import current_app

from orderapp.errors import BadMessageError
from orderapp.queues import REPORTS_SUMMARISE, REPORTS_SUMMARISE_DAY
from orderapp.reports import summarising
from orderapp.reports.days import DayError, parse_day, today, zone_named

log = structlog.get_logger(__name__)


@shared_task(name=REPORTS_SUMMARISE)
def summarise() -> None:
    """Summarise the days whose sales are not up to date."""
    settings = current_app.extensions["settings"]
    days = summarising.summarise_due_days(zone_named(settings.report_timezone), settings.currency)
    if days:
        log.info("days summarised", count=days)


@shared_task(name=REPORTS_SUMMARISE_DAY)
def summarise_day(day: Any) -> None:
    """Summarise the sales of one day (2026-01-31) again."""
    settings = current_app.extensions["settings"]
    zone = zone_named(settings.report_timezone)
    try:
        wanted = parse_day(day, today(zone))
    except DayError as error:
        raise BadMessageError(f"{REPORTS_SUMMARISE_DAY}: {error}") from error
    written = summarising.summarise_day(wanted, zone, settings.currency)
    log.info("day summarised", day=day, written=written)
