"""Fixtures for every test: the settings, the application, the product's processes. Servers are in servers/fixtures.py.

Nothing is started before a test asks for it: ``pytest tests/house`` needs no server.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

import config as product_config
from tests.servers.environment import NOBODY
from tests.servers.flaskclients import OutsideClient, OutsideRunner
from tests.servers.processes import PROCESSES, Processes
from tests.servers.receiver import Receiver

pytest_plugins = ["tests.servers.plugin", "tests.servers.fixtures"]


@pytest.fixture
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set and return the service's variables, for this process and its children.

    The test's ``broker`` or ``private_node``, ``private_postgres`` and ``receiver`` are in it when the test uses them;
    ``@pytest.mark.settings(CURRENCY="EUR")`` adds to it.
    """
    used = request.fixturenames
    values = {"CELERY_BROKER_URL": NOBODY}
    own = "private_postgres" in used
    values["DATABASE_URL"] = request.getfixturevalue("private_postgres").url if own else request.getfixturevalue("database")
    if "broker" in used:
        values["CELERY_BROKER_URL"] = request.getfixturevalue("broker")
    elif "private_node" in used:
        values["CELERY_BROKER_URL"] = request.getfixturevalue("private_node").url()
    receiver = request.getfixturevalue("receiver") if "receiver" in used else None
    if isinstance(receiver, Receiver):
        values |= receiver.environment
    for mark in reversed(list(request.node.iter_markers("settings"))):
        values |= mark.kwargs
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values


@pytest.fixture
def settings(environment: dict[str, str], tmp_path: Path) -> product_config.Settings:
    """Return the settings as the service reads them from ``environment``."""
    assert environment["DATABASE_URL"]
    return product_config.load(env_file=tmp_path / "there-is-no.env")


@pytest.fixture
def app(settings: product_config.Settings) -> Iterator[Flask]:
    """Give the application; the test is inside its context, so that it may call acts and queries."""
    import orderapp  # noqa: PLC0415 - tests/house runs without the application

    application = orderapp.create_app(settings)
    application.test_client_class, application.test_cli_runner_class = OutsideClient, OutsideRunner
    with application.app_context():
        yield application
        orderapp.database.db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Return a client of the API."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """Return what runs ``flask ...`` commands in this process."""
    return app.test_cli_runner()


@pytest.fixture
def a_product(app: Flask) -> Callable[..., int]:
    """Return a maker of products: ``a_product(stock=3)`` returns the id."""
    from orderapp.products.editing import create_product  # noqa: PLC0415 - as above

    def make(stock: int = 10, price: str = "2.50", name: str = "Lamp") -> int:
        with app.app_context():
            return create_product(name=name, price=Decimal(price), stock=stock)

    return make


@pytest.fixture
def processes(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> Iterator[Processes]:
    """Give what starts the product's processes; a failed test shows their output, and none outlives it."""
    started = request.node.stash[PROCESSES] = Processes(environment, tmp_path / "output")
    yield started
    started.end()
