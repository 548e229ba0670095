"""One user of each role, and a way to be one of them."""

from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from flask import Flask

from orderapp.accounts import passwords
from tests.admin.examples import Rows, fill
from tests.admin.visitors import PEOPLE, Visitor, create_people
from tests.servers.receiver import SECRET

# Every test of the panel has an endpoint for webhooks; nothing is ever sent there.
WEBHOOKS = pytest.mark.settings(
    WEBHOOK_URL="http://127.0.0.1:9/hook", WEBHOOK_SECRET=SECRET, WEBHOOK_ALLOWED_HOSTS="127.0.0.1:9"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the webhook settings."""
    for item in items:
        if "tests/admin/" in str(item.path):
            item.add_marker(WEBHOOKS)


@pytest.fixture
def rows(app: Flask) -> Rows:
    """Return tables with something in each of them."""
    with app.app_context():
        return fill()


@pytest.fixture
def visit(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Visitor]:
    """Return a maker of visitors: ``visit("operator")`` is logged in, ``visit("")`` is not.

    Their passwords are hashed cheaply: hundreds of logins at 64 MiB each would be most of this folder's time.
    """
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    create_people()

    def make(role: str = "") -> Visitor:
        visitor = Visitor(app)
        if role:
            assert visitor.log_in(PEOPLE[role]).status_code == 302
        return visitor

    return make
