"""Flask's test client and command runner, working outside of the test's own application context."""

from contextvars import Context
from typing import Any

from click.testing import Result
from flask.testing import FlaskClient, FlaskCliRunner
from werkzeug.test import TestResponse


class OutsideClient(FlaskClient):
    """A client whose requests share nothing with the test: each has a session of its own, as behind a real server.

    Flask would reuse the context that the ``app`` fixture holds open, and never end the request's session.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send the request."""
        return Context().run(super().open, *args, **kwargs)


class OutsideRunner(FlaskCliRunner):
    """A runner whose commands share nothing with the test, as in a shell."""

    def invoke(self, *args: Any, **kwargs: Any) -> Result:
        """Run the command."""
        return Context().run(super().invoke, *args, **kwargs)
