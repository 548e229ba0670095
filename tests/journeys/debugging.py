"""The product's processes with every logger at its most talkative: ``tests.journeys.debugging:app`` and ``:celery``.

POST /shout makes the web process log what a careless line would: the request's headers, and an error that quotes the settings.
"""

import logging
import os

from flask import request

from wsgi import app

log = logging.getLogger("careless")

logging.getLogger().setLevel(logging.DEBUG)
for name in list(logging.root.manager.loggerDict):
    logging.getLogger(name).setLevel(logging.DEBUG)

celery = app.extensions["celery"]


@app.post("/shout")
def shout() -> tuple[str, int]:
    """Log everything that no line should hold."""
    log.debug("headers %s, environment %s", dict(request.headers), dict(request.environ))
    log.debug("settings %r, process %s", app.extensions["settings"], dict(os.environ))
    raise RuntimeError(repr(app.extensions["settings"]))
