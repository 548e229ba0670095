"""The web application: ``gunicorn wsgi:app``, and where ``flask`` finds it."""

import sys

from flask import Flask


def _app() -> Flask:
    if sys.argv[1:2] == ["health"]:
        # Every container asks this every few seconds; building the whole application takes a second of processor time.
        from heartbeat import health_alone  # noqa: PLC0415

        return health_alone()
    import config  # noqa: PLC0415
    from orderapp import create_app  # noqa: PLC0415

    return create_app(config.load_or_exit())


app = _app()
