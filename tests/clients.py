"""Clients of the API: what they send to be let in."""

from orderapp import access
from orderapp.accounts.issuing import issue_key
from tests.sql import one

ALICE, CHARLIE = "Alice", "Charlie"

# For tests of what only happens where keys are required.
REQUIRED = {"REQUIRE_API_KEY": "true"}


def bearer(key: str) -> dict[str, str]:
    """Return the headers that carry this key."""
    return {"Authorization": f"Bearer {key}"}


def a_key(name: str = ALICE, *scopes: str) -> str:
    """Return a new key of this client; without scopes it has them all."""
    return issue_key(name, scopes or access.SCOPES, "cli:test")


def client_id(name: str = ALICE) -> int:
    """Return the id of a client who has had a key."""
    return int(one("SELECT id FROM api_clients WHERE name = %(name)s", name=name))
