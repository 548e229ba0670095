"""The Celery application of the shop."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.shop.settings")

if os.environ.get("OUTBOX"):
    from django_celery_outbox import OutboxCelery

    app = OutboxCelery("shop")
else:
    app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["bench.peers.shop"])
