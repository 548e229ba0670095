"""Django's settings, as ``startproject`` makes them, without what an API does not use."""

import os

from psycopg.conninfo import conninfo_to_dict

_DATABASE = conninfo_to_dict(os.environ["DATABASE_URL"])

SECRET_KEY = "benchmark-only"  # noqa: S105 - nothing is signed with it
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "bench.peers.shop.urls"
INSTALLED_APPS = ["rest_framework", "bench.peers.shop"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _DATABASE["dbname"],
        "USER": _DATABASE["user"],
        "HOST": _DATABASE["host"],
        "PORT": _DATABASE["port"],
        "CONN_MAX_AGE": 600,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
USE_TZ = True
LOGGING_CONFIG = None

CELERY_BROKER_URL = os.environ["CELERY_BROKER_URL"]
CELERY_TASK_IGNORE_RESULT = True

# With OUTBOX=1 the tasks go through django-celery-outbox, as its quick start says.
if os.environ.get("OUTBOX"):
    INSTALLED_APPS.append("django_celery_outbox")
    CELERY_OUTBOX_APP = "bench.peers.shop.celery.app"
