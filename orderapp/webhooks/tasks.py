"""The room's tasks; what becomes of a message that fails is decided in ``orderapp/worker.py`` for all of them."""

from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_ready
from flask import Flask, current_app

from orderapp.incoming import message_ids
from orderapp.queues import WEBHOOKS_DELIVER, WEBHOOKS_PRUNE, WEBHOOKS_RESCUE

from .couriers import couriers
from .endpoint import receivers_of
from .pruning import prune_attempts
from .rescuing import rescue_deliveries
from .sending import deliver

log = structlog.get_logger(__name__)


@worker_ready.connect
def tell_what_is_allowed(sender: Any, **_signal: Any) -> None:
    """Say at the start which receivers may be private or without TLS: forgotten, the setting is a hole."""
    hosts = sender.app.conf.flask_app.extensions["settings"].webhook_allowed_hosts
    if hosts:
        log.warning("webhooks may go to these hosts although private or without TLS", hosts=sorted(hosts))


@shared_task(name=WEBHOOKS_DELIVER)
def deliver_webhooks(delivery_ids: list[int]) -> None:
    """Claim the deliveries that are due among these; threads send them."""
    ids = message_ids(WEBHOOKS_DELIVER, delivery_ids)
    if not couriers().has_room():
        log.warning("no thread is free for webhooks, the rescuer brings them again", delivery_ids=ids)
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # noqa: SLF001 - a thread has no context of ours
    deliver(ids, receivers_of(app.extensions["settings"]), start=partial(couriers().start, app))


@shared_task(name=WEBHOOKS_RESCUE)
def rescue_webhooks() -> None:
    """Wake deliveries whose message or worker was lost."""
    rescue_deliveries()


@shared_task(name=WEBHOOKS_PRUNE)
def prune_webhooks() -> None:
    """Forget old attempts."""
    prune_attempts(timedelta(days=current_app.extensions["settings"].webhook_log_days))
