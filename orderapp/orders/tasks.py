"""Door: orders over Celery."""

from typing import Any

import structlog
from celery import shared_task

from orderapp.incoming import message_ids
from orderapp.orders import processing, pruning, rescuing
from orderapp.queues import ORDERS_PROCESS, ORDERS_PRUNE, ORDERS_RESCUE

log = structlog.get_logger(__name__)


@shared_task(name=ORDERS_PROCESS, bind=True)
def process(self: Any, order_ids: Any) -> None:
    """Claim and settle these orders."""
    ids = message_ids(ORDERS_PROCESS, order_ids)
    settled = processing.process_orders(ids, task_id=self.request.id)
    log.info("orders processed", order_ids=ids, received=len(ids), settled=settled)


@shared_task(name=ORDERS_RESCUE)
def rescue() -> None:
    """Wake orders whose message or worker was lost."""
    rescued = rescuing.rescue_orders()
    if rescued:
        log.warning("orders rescued", count=rescued)


@shared_task(name=ORDERS_PRUNE)
def prune() -> None:
    """Forget idempotency keys that nobody will repeat any more."""
    pruned = pruning.prune_keys()
    if pruned:
        log.info("idempotency keys pruned", count=pruned)
