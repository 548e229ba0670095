"""The Celery application: worker, beat and Flower start from ``celery -A celery_worker``."""

from celery import Celery

import config
import tally

_settings = config.load_or_exit()
if _settings.metrics_listen:
    tally.gather()  # before the application is imported: a worker's children count together

from orderapp import create_app, flower_login  # noqa: E402 - see above

celery: Celery = create_app(_settings).extensions["celery"]
flower_login.init(_settings.flower_basic_auth, _settings.flower_port)
