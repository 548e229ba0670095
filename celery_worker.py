"""The Celery application: worker, beat and Flower start from ``celery -A celery_worker``."""

from celery import Celery

import config
from orderapp import create_app, flower_login

_settings = config.load_or_exit()
celery: Celery = create_app(_settings).extensions["celery"]
flower_login.init(_settings.flower_basic_auth, _settings.flower_port)
