"""The Celery application: worker, beat and Flower start from ``celery -A celery_worker``."""

from celery import Celery

import config
from orderapp import create_app

celery: Celery = create_app(config.load_or_exit()).extensions["celery"]
