"""The environment that tests see: nothing of the developer's shell, nothing of ``.env``."""

import os

import config

# What libpq, Flask, Celery and OpenTelemetry read besides our own settings.
FOREIGN_PREFIXES = ("PG", "FLASK_", "CELERY_", "GUNICORN_", "WERKZEUG_", "OTEL_")

# Nothing listens on port 9 of loopback (discard): a connection is refused at once.
NOBODY = "amqp://guest:guest@127.0.0.1:9//"


def forget_the_shell() -> None:
    """Make every setting unset for this process and its children.

    Blank, not deleted: a blank variable counts as unset, and ``.env`` does not override what is there.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN_PREFIXES):
            del os.environ[name]
    for setting in config.SETTINGS:
        os.environ[setting.name] = os.environ[f"{setting.name}_FILE"] = ""
    os.environ["FLASK_DEBUG"] = ""
    os.environ["FLASK_SKIP_DOTENV"] = "1"
    for name in ("NO_PROXY", "no_proxy"):  # the receivers and servers of tests are on loopback
        os.environ[name] = "127.0.0.1,localhost"
