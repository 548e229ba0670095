"""The web application: ``gunicorn wsgi:app``, and where ``flask`` finds it."""

import config
from orderapp import create_app

app = create_app(config.load_or_exit())
